"""Models as files that run without the zoo. Importing this imports no torch."""

import importlib
from typing import TYPE_CHECKING, Any

from convae_zoo.export.formats import FORMATS, PARTS

if TYPE_CHECKING:
    from convae_zoo.export.detector import export_detector
    from convae_zoo.export.export import export_model
    from convae_zoo.export.onnx import missing_onnx_packages, onnx_session, run_onnx, to_onnx
    from convae_zoo.export.torch_export import to_torch_export

_MODULES = {
    "detector": ("export_detector",),
    "export": ("export_model",),
    "onnx": ("missing_onnx_packages", "onnx_session", "run_onnx", "to_onnx"),
    "torch_export": ("to_torch_export",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "FORMATS",
    "PARTS",
    "export_detector",
    "export_model",
    "missing_onnx_packages",
    "onnx_session",
    "run_onnx",
    "to_onnx",
    "to_torch_export",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
