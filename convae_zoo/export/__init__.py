"""Models as files that run without the zoo."""

from convae_zoo.export.export import (
    export_model,
    missing_onnx_packages,
    onnx_session,
    run_onnx,
    to_onnx,
    to_torch_export,
)

__all__ = [
    "export_model",
    "missing_onnx_packages",
    "onnx_session",
    "run_onnx",
    "to_onnx",
    "to_torch_export",
]
