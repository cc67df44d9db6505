"""Trained models as safetensors files: written whole, found by name or path, checked on loading."""

from convae_zoo.weights.download.network import check_online, stalls_bounded
from convae_zoo.weights.load import load_model, read_metadata
from convae_zoo.weights.save import save_model

__all__ = ["check_online", "load_model", "read_metadata", "save_model", "stalls_bounded"]
