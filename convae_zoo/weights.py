"""Weights as safetensors files."""
