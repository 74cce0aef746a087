"""Mails: their headers, their bodies, and what is attached to them."""
