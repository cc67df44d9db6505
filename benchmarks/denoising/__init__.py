"""Denoising photographs: the training data, the training and the comparison."""
