"""Weights that are stored outside the packages: on the Hugging Face Hub, or at an https address.

Nothing is downloaded unasked: only `convae-zoo pull NAME` and ``load_model(name, download=True)``
use the network. A downloaded file is cached under its sha256 and loaded from there offline.
"""
