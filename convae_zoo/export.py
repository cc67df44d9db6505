"""Models as ONNX or ``torch.export`` files, checked by running them before they are put in place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from convae_zoo import files
from convae_zoo.autoencoder import Autoencoder
from convae_zoo.errors import UsageError, ZooError, unknown

if TYPE_CHECKING:
    import onnxruntime

FORMATS = ("onnx", "torch-export")
PARTS = ("encoder", "decoder", "all")
TOLERANCE = 1e-4
"""Largest difference between an ONNX file and the model: another order of float32 sums."""

_BATCHES = (1, 2, 5)


def export_model(
    model: Autoencoder, path: str | Path, *, format: str = "onnx", part: str = "all"  # noqa: A002 - the option's name
) -> float:
    """Write a model, or one part of it, for use without the zoo. The batch size stays free.

    The file is run at several batch sizes and compared with the model before it is put in place.
    An ONNX file has one input and one output, named ``images``, ``latent`` or ``reconstruction``,
    float32; its metadata holds the model's name, part, value range and shapes. Images are
    N×C×H×W in the model's value range.

    Args:
        model: put into eval mode for the export.
        path: the file to write.
        format: ``onnx`` or ``torch-export`` (a ``.pt2`` archive for ``torch.export.load``).
        part: ``encoder``, ``decoder`` or ``all``.

    Returns:
        The largest difference between the file's outputs and the model's.

    Raises:
        UnknownNameError: another format or part.
        UsageError: the packages for ONNX are not installed.
        ZooError: the model cannot be exported, or what was exported gives other results.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if part not in PARTS:
        raise unknown("part", part, PARTS)
    module, shape, names = _part(model, part)
    example = _example(shape, 2).to(model.device)
    was_training = model.training
    model.eval()
    try:
        with files.atomic_path(Path(path)) as temporary:
            if format == "onnx":
                run = _write_onnx(module, example, names, temporary, _metadata(model, part))
            else:
                run = _write_torch_export(module, example, temporary)
            return _checked(module, run, shape, TOLERANCE, f"{part} of {model.name!r}")
    finally:
        model.train(was_training)
