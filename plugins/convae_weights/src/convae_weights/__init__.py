"""Trained weights of the zoo's models, apart from the code."""
