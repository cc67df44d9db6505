"""Trained weights of the zoo's models, in a distribution of their own."""
