"""Losses beyond mean squared error."""
