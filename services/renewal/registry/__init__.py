"""The registry of people and the certificates they hold: import and look-up."""
