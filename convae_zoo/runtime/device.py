"""The device that a name means on this machine."""

import torch

from convae_zoo.errors import UsageError, unknown

DEVICES = ("auto", "cpu", "cuda")


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name; ``auto`` takes CUDA where there is one.

    Raises:
        UnknownNameError: it is none of auto, cpu, cuda, cuda:N.
        UsageError: CUDA is asked for and there is none.
    """
    kind, _, index = name.partition(":")
    if kind not in DEVICES or (index and (kind != "cuda" or not index.isdigit())):
        raise unknown("device", name, DEVICES)
    found = torch.cuda.device_count()
    if kind == "auto":
        return torch.device("cuda" if found else "cpu")
    if kind == "cuda" and int(index or 0) >= found:
        raise UsageError(f"device {name!r} is not there: PyTorch finds {found} CUDA devices")
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Name a device as people do: ``cpu (2 threads)`` or ``cuda (NVIDIA H100 80GB HBM3)``."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"
