"""Autoencoders, planned and built from names and configs, and their losses.

Planning imports no torch, so this module imports nothing.
"""
