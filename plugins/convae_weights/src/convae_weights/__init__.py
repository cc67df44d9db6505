"""Trained weights of the zoo's models, and photographs to measure them on."""
