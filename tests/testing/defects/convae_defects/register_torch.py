"""Imports torch to be listed."""

import torch

from convae_defects.configs import Config
from convae_zoo import hookimpl
from convae_zoo.registry.specs import EncoderSpec

assert torch


@hookimpl
def register_encoders(register):
    register(EncoderSpec(name="listing", factory="convae_defects.encoders:Encoder", config=Config))
