"""Modules as ONNX models, and onnxruntime, which runs them."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from convae_zoo.errors import UsageError, ZooError
from convae_zoo.export.torch_export import first_cause, to_torch_export

if TYPE_CHECKING:
    import onnxruntime


def to_onnx(
    module: nn.Module,
    example: Tensor,
    input_name: str,
    *output_names: str,
    size_multiple: int | None = None,
) -> Any:
    """Translate a module of one input to ONNX with a free batch size.

    Args:
        module: in eval mode.
        example: an input of at least two samples.
        input_name: of the ONNX graph.
        output_names: of the ONNX graph.
        size_multiple: as in `to_torch_export`.

    Returns:
        A ``torch.onnx.ONNXProgram``.

    Raises:
        UsageError: the packages for it are not installed.
        ZooError: it cannot be exported, or has an operation that ONNX lacks.
    """
    require_onnx()
    return translate(to_torch_export(module, example, size_multiple), input_name, *output_names)


def translate(program: torch.export.ExportedProgram, input_name: str, *output_names: str) -> Any:
    """Translate an exported program to ONNX.

    Raises:
        ZooError: it has an operation that ONNX lacks.
    """
    try:
        translated = torch.onnx.export(
            program,
            dynamo=True,
            input_names=[input_name],
            output_names=list(output_names),
            verbose=False,
        )
    except Exception as error:
        raise ZooError(f"it cannot be translated to ONNX: {first_cause(error)}") from error
    if translated is None:
        raise ZooError("torch.onnx.export returned no program")
    return translated


def onnx_session(model: bytes | Path, *, threads: int = 0) -> "onnxruntime.InferenceSession":
    """Load an ONNX model into onnxruntime, on the CPU; 0 threads are as many as it has cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
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


def require_onnx() -> None:
    """Check that the packages for ONNX are installed.

    Raises:
        UsageError: one is missing.
    """
    if missing := missing_onnx_packages():
        raise UsageError(
            f"export to ONNX needs {', '.join(missing)}: pip install 'convae-zoo[export]'"
        )
