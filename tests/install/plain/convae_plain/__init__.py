"""Somebody else's package: one encoder."""
