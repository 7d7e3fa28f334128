"""Ways to run the platform, and what drives it from outside. No service and nothing in shared/ imports it."""
