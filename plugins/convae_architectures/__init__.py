"""Stronger architectures: residual, variational, vector-quantised, and a linear path with PCA."""
