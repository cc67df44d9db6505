"""Residual encoder and decoder with a vector latent."""
