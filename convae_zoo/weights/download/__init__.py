"""Weights that are stored outside the wheel: on the Hugging Face Hub, or at an https address.

Nothing is fetched unless it is asked for by name: `convae-zoo pull NAME`, or
``load_model(name, download=True)``. What was fetched lies in the cache under its sha256 and is
loaded from there without a network.
"""
