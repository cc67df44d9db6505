"""The mode of modules, set for a while and then restored."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def eval_mode(*modules: nn.Module) -> Iterator[None]:
    """Put modules into evaluation mode for a while.

    Each submodule gets its own mode back, so that one that was frozen stays frozen.
    """
    modes = {each: each.training for module in modules for each in module.modules()}
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for each, training in modes.items():
            each.training = training
