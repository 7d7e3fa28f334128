"""HTTP: the application, its documents, and what every request has in common."""
