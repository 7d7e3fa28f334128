"""Ways to run the platform, and what drives it from outside."""
