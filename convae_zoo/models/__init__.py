"""Autoencoders: planned from names and configs, built and joined; and their losses.

Planning imports no torch, so nothing is imported here.
"""
