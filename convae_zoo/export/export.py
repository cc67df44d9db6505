"""A model or one part of it as a file, run and compared before it is put in place."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from convae_zoo import files
from convae_zoo.errors import ZooError, device_failures, unknown
from convae_zoo.export import onnx
from convae_zoo.export.formats import FORMATS, PARTS
from convae_zoo.export.torch_export import save_torch_export, to_torch_export
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.models.modes import eval_mode
from convae_zoo.registry.specs import Shape, shape_text

TOLERANCE = 1e-4
"""Largest difference between a file and the model: float32 sums in another order."""

_BATCHES = (1, 2, 5)


def export_model(
    model: Autoencoder,
    path: str | Path,
    *,
    format: str = "onnx",  # noqa: A002 - the option's name
    part: str = "all",
) -> float:
    """Write a model, or one part of it, for use without the zoo. The batch size stays free.

    So do the height and width of a whole fully convolutional model, as multiples of the plan's
    `size_multiple`. The file is run at several sizes and compared with the model before it is put
    in place. An ONNX file has one input and one output, named ``images``, ``latent`` or
    ``reconstruction``, float32; its metadata holds the model's name, part, value range and shapes.
    Images are N×C×H×W in the model's value range.

    Args:
        model: exported in eval mode, on the CPU; it is left as it was.
        path: the file to write.
        format: ``onnx`` or ``torch-export`` (a ``.pt2`` archive for ``torch.export.load``).
        part: ``encoder``, ``decoder`` or ``all``.

    Returns:
        The largest absolute difference between the file's outputs and the model's.

    Raises:
        UnknownNameError: another format or part.
        UsageError: the packages for ONNX are not installed.
        FileError: the file cannot be written.
        ZooError: the model cannot be exported, or the exported file gives other results.
        DeviceError: memory ran out.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if part not in PARTS:
        raise unknown("part", part, PARTS)
    module, shape, names = _part(model, part)
    multiple = model.plan.size_multiple if part == "all" else None
    if format == "onnx":
        onnx.require_onnx()
    device = model.device
    try:
        with (
            device_failures(f"exporting {model.name}", "free some memory"),
            eval_mode(model),
            files.atomic_path(path) as temporary,
        ):
            model.cpu()
            run = (
                _write_onnx(
                    module, _example(shape, 2), names, temporary, _metadata(model, part), multiple
                )
                if format == "onnx"
                else _write_torch_export(module, _example(shape, 2), temporary, multiple)
            )
            shapes = [(count, *shape) for count in _BATCHES]
            if multiple is not None:
                shapes.append((1, shape[0], shape[1] + multiple, shape[2] + 2 * multiple))
            return _checked(module, run, shapes, f"{part} of {model.name!r}")
    finally:
        model.to(device)


def _part(model: Autoencoder, part: str) -> tuple[nn.Module, Shape, tuple[str, str]]:
    """Return a part, the shape of one input of it, and the names of its input and output."""
    match part:
        case "encoder":
            return model.encoder, model.image_shape, ("images", "latent")
        case "decoder":
            return model.decoder, model.latent_shape, ("latent", "reconstruction")
        case _ if model.plan.size_multiple is not None:
            # The model itself compares sizes with its own, which would fix them.
            whole = nn.Sequential(model.encoder, model.decoder)
            return whole, model.image_shape, ("images", "reconstruction")
        case _:
            return model, model.image_shape, ("images", "reconstruction")


def _metadata(model: Autoencoder, part: str) -> dict[str, str]:
    return {
        "convae_zoo.model": model.name,
        "convae_zoo.part": part,
        "convae_zoo.value_range": json.dumps(model.value_range),
        "convae_zoo.image_shape": json.dumps(model.image_shape),
        "convae_zoo.latent_shape": json.dumps(model.latent_shape),
        "convae_zoo.config": json.dumps(model.plan.describe()),
    }


def _example(shape: Shape, count: int) -> Tensor:
    """Make an input of a batch size, normally distributed and always the same."""
    generator = torch.Generator().manual_seed(count)
    return torch.randn((count, *shape), generator=generator)


def _write_onnx(
    module: nn.Module,
    example: Tensor,
    names: tuple[str, str],
    path: Path,
    metadata: dict[str, str],
    size_multiple: int | None,
) -> Callable[[Tensor], Tensor]:
    program = onnx.to_onnx(module, example, *names, size_multiple=size_multiple)
    program.model.metadata_props.update(metadata)
    program.save(path)
    session = onnx.onnx_session(path)
    return lambda x: onnx.run_onnx(session, x)


def _write_torch_export(
    module: nn.Module, example: Tensor, path: Path, size_multiple: int | None
) -> Callable[[Tensor], Tensor]:
    save_torch_export(to_torch_export(module, example, size_multiple), path)
    return torch.export.load(path).module()


def _checked(
    module: nn.Module, run: Callable[[Tensor], Tensor], shapes: Iterable[Shape], what: str
) -> float:
    """Compare a file's outputs with the module's; return the largest difference."""
    farthest = 0.0
    for count, *shape in shapes:
        x = _example(tuple(shape), count)
        with torch.no_grad():
            expected, output = module(x), run(x)
        if output.shape != expected.shape:
            raise ZooError(
                f"the exported {what} gives {tuple(output.shape)} instead of "
                f"{tuple(expected.shape)}; nothing was written"
            )
        far = float((output - expected).abs().max())
        if not far <= TOLERANCE:
            raise ZooError(
                f"the exported {what} differs from the model by {far:.2g} on a batch "
                f"{shape_text(tuple(x.shape))}; nothing was written"
            )
        farthest = max(farthest, far)
    return farthest
