"""The anomaly scores of the zoo: of reconstructions, of latents, and of both."""
