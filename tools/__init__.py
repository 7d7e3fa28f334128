"""Developers' helpers called by the Makefile; nothing else imports them."""
