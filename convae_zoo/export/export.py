"""Models as ONNX or ``torch.export`` files, checked by running them before they are in place."""

import io
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from convae_zoo import files
from convae_zoo.errors import UsageError, ZooError, unknown
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.registry.specs import Shape

if TYPE_CHECKING:
    import onnxruntime

FORMATS = ("onnx", "torch-export")
PARTS = ("encoder", "decoder", "all")
TOLERANCE = 1e-4
"""Largest difference between an ONNX file and the model: another order of float32 sums."""

_BATCHES = (1, 2, 5)


def export_model(
    model: Autoencoder,
    path: str | Path,
    *,
    format: str = "onnx",  # noqa: A002 - the option's name
    part: str = "all",
) -> float:
    """Write a model, or one part of it, for use without the zoo. The batch size stays free.

    The file is run at several batch sizes and compared with the model before it is put in place.
    An ONNX file has one input and one output, named ``images``, ``latent`` or ``reconstruction``,
    float32; its metadata holds the model's name, part, value range and shapes. Images are
    N×C×H×W in the model's value range.

    Args:
        model: exported in eval mode, on the CPU; it is left as it was.
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
    if format == "onnx":
        _need_onnx()
    was_training, device = model.training, model.device
    model.eval().cpu()
    try:
        with files.atomic_path(path) as temporary:
            run = (
                _write_onnx(module, _example(shape, 2), names, temporary, _metadata(model, part))
                if format == "onnx"
                else _write_torch_export(module, _example(shape, 2), temporary)
            )
            return _checked(module, run, shape, f"{part} of {model.name!r}")
    finally:
        model.train(was_training).to(device)


def to_torch_export(module: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """Export a module of one input with a free batch size.

    Args:
        module: in eval mode.
        example: an input of at least two samples.

    Raises:
        ZooError: it cannot be exported, for example because it branches on values.
    """
    free = {0: torch.export.Dim("batch", min=1)}
    try:
        with torch.no_grad():
            return torch.export.export(module, (example,), dynamic_shapes=(free,))
    except Exception as error:
        raise ZooError(f"torch.export refuses it: {_reason(error)}") from error


def to_onnx(module: nn.Module, example: Tensor, input_name: str, output_name: str) -> Any:
    """Translate a module of one input to ONNX with a free batch size.

    Raises:
        UsageError: the packages for it are not installed.
        ZooError: it cannot be exported, or has an operation that ONNX lacks.
    """
    _need_onnx()
    exported = to_torch_export(module, example)
    try:
        program = torch.onnx.export(
            exported,
            dynamo=True,
            input_names=[input_name],
            output_names=[output_name],
            verbose=False,
        )
    except Exception as error:
        raise ZooError(f"it cannot be translated to ONNX: {_reason(error)}") from error
    if program is None:
        raise ZooError("torch.onnx.export gave no program")
    return program


def onnx_session(model: bytes | Path) -> "onnxruntime.InferenceSession":
    """Load an ONNX model into onnxruntime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run_onnx(session: "onnxruntime.InferenceSession", x: Tensor) -> Tensor:
    """Run an ONNX model of one input and one output."""
    (output,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return torch.from_numpy(output)


def missing_onnx_packages() -> list[str]:
    """List the packages that exporting to ONNX and checking it need but that are not installed."""
    return [p for p in ("onnx", "onnxscript", "onnxruntime") if find_spec(p) is None]


def _reason(error: BaseException) -> str:
    """Return the first line of the innermost cause; exporters wrap it in pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]:.200}"


def _need_onnx() -> None:
    if missing := missing_onnx_packages():
        raise UsageError(
            f"export to ONNX needs {', '.join(missing)}: pip install 'convae-zoo[export]'"
        )


def _part(model: Autoencoder, part: str) -> tuple[nn.Module, Shape, tuple[str, str]]:
    """Return a part, the shape of one input of it, and the names of its input and output."""
    match part:
        case "encoder":
            return model.encoder, model.image_shape, ("images", "latent")
        case "decoder":
            return model.decoder, model.latent_shape, ("latent", "reconstruction")
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
) -> Callable[[Tensor], Tensor]:
    program = to_onnx(module, example, *names)
    program.model.metadata_props.update(metadata)
    program.save(path)
    session = onnx_session(path)
    return lambda x: run_onnx(session, x)


def _write_torch_export(
    module: nn.Module, example: Tensor, path: Path
) -> Callable[[Tensor], Tensor]:
    program = to_torch_export(module, example)
    program.example_inputs = None  # they would be stored as a pickle
    archive = io.BytesIO()  # PyTorch's own writer aborts the process where a disk is full
    torch.export.save(program, archive)
    path.write_bytes(archive.getbuffer())
    return torch.export.load(path).module()


def _checked(module: nn.Module, run: Callable[[Tensor], Tensor], shape: Shape, what: str) -> float:
    farthest = 0.0
    for count in _BATCHES:
        x = _example(shape, count)
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
                f"the exported {what} differs from the model by {far:.2g} at batch {count}; "
                "nothing was written"
            )
        farthest = max(farthest, far)
    return farthest
