"""Vector-quantised encoder; it goes with any decoder of spatial latents."""
