"""Devices by name; imports torch only to choose or describe one."""

from typing import TYPE_CHECKING

from convae_zoo.errors import UsageError, unknown

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "cuda:N")


def check_device_name(name: str) -> str:
    """Return a device's name if it is one, whether or not this machine has the device.

    Raises:
        UnknownNameError: it is none of `DEVICES`.
    """
    kind, colon, index = str(name).partition(":")
    is_plain = kind in DEVICES and not colon
    if not is_plain and not (kind == "cuda" and index.isascii() and index.isdigit()):
        raise unknown("device", name, DEVICES)
    return str(name)


def choose_device(name: str = "auto") -> "torch.device":
    """Return the device of a name; ``auto`` is CUDA if this machine has it, else the CPU.

    Raises:
        UnknownNameError: it is none of `DEVICES`.
        UsageError: this machine does not have the device.
    """
    import torch

    kind, _, index = check_device_name(name).partition(":")
    found = torch.cuda.device_count()
    if kind == "auto":
        return torch.device("cuda" if found else "cpu")
    if kind == "cuda" and int(index or 0) >= found:
        raise UsageError(f"there is no device {name!r}: PyTorch finds {found} CUDA devices")
    return torch.device(name)


def describe_device(device: "torch.device") -> str:
    """Describe a device: ``cpu (2 threads)`` or ``cuda (NVIDIA H100 80GB HBM3)``."""
    import torch

    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"
