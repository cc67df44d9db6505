"""Modules as ``torch.export`` programs and ``.pt2`` archives."""

import io
from pathlib import Path

import torch
from torch import Tensor, nn

from convae_zoo.errors import ZooError


def to_torch_export(
    module: nn.Module, example: Tensor, size_multiple: int | None = None
) -> torch.export.ExportedProgram:
    """Export a module of one input with a free batch size.

    Args:
        module: in eval mode.
        example: an input of at least two samples.
        size_multiple: what the input's height and width are multiples of, if they are to be free;
            None to fix them.

    Raises:
        ZooError: it cannot be exported, for example because it branches on values.
    """
    free = {0: torch.export.Dim("batch", min=1)}
    if size_multiple is not None:
        height, width = (torch.export.Dim(name, min=1) for name in ("rows", "columns"))
        free |= {2: size_multiple * height, 3: size_multiple * width}
    try:
        with torch.no_grad():
            return torch.export.export(module, (example,), dynamic_shapes=(free,))
    except Exception as error:
        raise ZooError(f"torch.export refuses it: {first_cause(error)}") from error


def first_cause(error: BaseException) -> str:
    """Return the first line of the innermost cause; exporters wrap it in pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]:.200}"


def save_torch_export(program: torch.export.ExportedProgram, path: Path) -> None:
    """Write a program as a new ``.pt2`` archive that holds no pickle."""
    program.example_inputs = None  # they would be stored as a pickle
    archive = io.BytesIO()  # PyTorch's own writer aborts the process where a disk is full
    torch.export.save(program, archive)
    with path.open("xb") as file:
        file.write(archive.getbuffer())
