"""Residual encoder and decoder with a spatial latent."""
