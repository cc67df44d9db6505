"""A tiny encoder for convae_zoo."""
