"""Modes of models and of PyTorch, set for a while and then restored."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from convae_zoo.errors import UsageError, device_failures
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.models.modes import eval_mode

BATCH_SIZE = 256


@contextmanager
def evaluating(model: Autoencoder, device: torch.device | None = None) -> Iterator[None]:
    """Put a model into evaluation mode, on a device, without gradients; then restore it.

    Raises:
        DeviceError: memory runs out or the device fails within the block.
    """
    home = model.device
    try:
        with device_failures(f"running {model.name} on {device or home}"):
            model.to(device or home)
            with eval_mode(model), torch.inference_mode():
                yield
    finally:
        model.to(home)


def check_model(model: object) -> None:
    """Refuse what cannot reconstruct images.

    Args:
        model: an autoencoder, compiled or not.

    Raises:
        UsageError: it is no autoencoder, or one on the meta device.
    """
    plain = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    if not isinstance(plain, Autoencoder):
        raise UsageError(
            "model must be an Autoencoder, as create_model or load_model returns it, "
            f"got {model!r:.80}"
        )
    if plain.device.type == "meta":
        raise UsageError(
            f"model {plain.name!r} is on the meta device, where it has no weights; build it on the "
            "CPU"
        )


@contextmanager
def cpu_by_default() -> Iterator[None]:
    """Make new tensors on the CPU for a while, whatever the caller's default device."""
    if torch.get_default_device().type == "cpu":  # a device context slows every call down
        yield
        return
    with torch.device("cpu"):
        yield


@contextmanager
def default_modes() -> Iterator[None]:
    """Give PyTorch its own defaults for a while: float32, the CPU, and gradients.

    A caller may have set another default dtype or device, or call within ``torch.no_grad`` or
    ``torch.inference_mode``.
    """
    dtype = torch.get_default_dtype()
    with torch.inference_mode(mode=False), torch.enable_grad(), cpu_by_default():
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let PyTorch compute on so many threads for a while; small inputs gain nothing from many.

    A Python thread that first uses PyTorch meanwhile keeps this number.
    """
    before = torch.get_num_threads()
    if count == before:  # setting it takes longer than a small layer
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
