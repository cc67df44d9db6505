"""How the process keeps memory between steps, and the memory layout of images."""

import ctypes
import functools
import sys

import torch

from convae_zoo.errors import PluginError, is_from_torch
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.models.modes import eval_mode

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _FAST_BINS = -1, -3, 1
"""Parameters of glibc's ``mallopt``, as <malloc.h> numbers them."""

_KEPT = 1 << 30


@functools.cache
def keep_freed_memory() -> None:
    """Let the C library keep up to 1 GiB of freed memory, instead of returning it at once.

    Each step frees and takes the same tens of megabytes. If they are handed back, the kernel clears
    fresh pages each time: 6% to 8% of a step of ``convae-200`` on a CPU. Freed small blocks are
    merged at once, not all together with the next tensor: 4% of its inference at batch 1. Only with
    glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _KEPT)
        mallopt(_MMAP_THRESHOLD, _KEPT)
        mallopt(_FAST_BINS, 0)


def fastest_layout(model: Autoencoder) -> torch.memory_format:
    """Return channels_last, the fastest layout for convolutions, or contiguous if that fails.

    A part may need the contiguous layout (``x.view(n, -1)`` after a convolution), so two images are
    passed through the model to find out. The model is left unchanged.
    """
    device = model.device
    generators = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(generators), torch.no_grad(), eval_mode(model):
        try:
            model.to(memory_format=torch.channels_last)
            images = torch.zeros(2, *model.image_shape, device=device)
            model.forward_with_terms(images.to(memory_format=torch.channels_last))
        except (RuntimeError, PluginError) as error:
            if not is_from_torch(error):
                raise
            return torch.contiguous_format
        finally:
            model.to(memory_format=torch.contiguous_format)
    return torch.channels_last
