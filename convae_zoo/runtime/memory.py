"""How the process keeps memory between steps, and how images lie in it."""

import ctypes
import functools
import sys

import torch

from convae_zoo.models.autoencoder import Autoencoder

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's ``mallopt``, as <malloc.h> numbers them."""

_KEPT = 1 << 30


@functools.cache
def keep_freed_memory() -> None:
    """Let the C library keep up to 1 GiB of freed memory, rather than hand it back at once.

    Each step frees and takes the same tens of megabytes. Handed back, they come as fresh pages that
    the kernel clears anew: 6% to 8% of a step of ``convae-200`` on a CPU. Only glibc is told.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _KEPT)
        mallopt(_MMAP_THRESHOLD, _KEPT)


def fastest_layout(model: Autoencoder) -> torch.memory_format:
    """Return channels_last, which convolutions are fastest in; contiguous where it does not work.

    A part may look at its images in a way that only the contiguous layout allows (``x.view(n, -1)``
    after a convolution): two images are sent through to see. The model stays as it is.
    """
    was_training = model.training
    device = model.device
    generators = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(generators), torch.no_grad():
        try:
            model.eval().to(memory_format=torch.channels_last)
            images = torch.zeros(2, *model.image_shape, device=device)
            model.forward_with_terms(images.to(memory_format=torch.channels_last))
        except RuntimeError:
            return torch.contiguous_format
        finally:
            model.to(memory_format=torch.contiguous_format)
            model.train(was_training)
    return torch.channels_last
