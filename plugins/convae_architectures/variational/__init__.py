"""Variational encoder; it goes with any decoder of vector latents."""
