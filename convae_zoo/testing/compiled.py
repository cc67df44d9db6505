"""Properties of a compiled or an exported part."""

import functools
import shutil
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch._inductor import config as inductor

from convae_zoo.export import missing_onnx_packages, onnx_session, run_onnx, to_torch_export
from convae_zoo.export.onnx import translate
from convae_zoo.testing.configs import at_small, small_case
from convae_zoo.testing.entry import Case, Entry, run
from convae_zoo.testing.result import Skip
from convae_zoo.testing.tolerances import SAME


@at_small
def compile_(case: Case) -> None:
    """Eager and ``torch.compile`` agree to `SAME`."""
    backend = case.entry.backend
    if backend == "inductor" and not (shutil.which("g++") or shutil.which("clang++")):
        raise Skip("inductor needs a C++ compiler; there is neither g++ nor clang++")
    module, x = case.build(), case.inputs()
    expected = run(module, x)
    try:
        # In this process: starting a pool of compilers takes longer than compiling.
        with inductor.patch(compile_threads=1):
            compiled = run(torch.compile(module, backend=backend), x)
    finally:
        torch.compiler.reset()
    case.check_near(compiled, expected, SAME, f"torch.compile ({backend}) changes the output")


@at_small
def torch_export(case: Case) -> None:
    """``torch.export`` accepts it with a free batch size, and the output agrees."""
    module = case.build()
    program = _exported(case.entry).module()
    _compare(case, module, lambda x: run(program, x))


@at_small
def onnx(case: Case) -> None:
    """It can be exported to ONNX with a free batch size, and agrees in onnxruntime."""
    if missing := missing_onnx_packages():
        raise Skip(f"{', '.join(missing)} not installed: pip install 'convae-zoo[export]'")
    module = case.build()
    program = translate(_exported(case.entry), "input", "output")
    session = onnx_session(program.model_proto.SerializeToString())
    _compare(case, module, lambda x: run_onnx(session, x))


@functools.lru_cache(maxsize=1)
def _exported(entry: Entry) -> torch.export.ExportedProgram:
    """Export an entry's small case; the properties of both formats share the program."""
    case = small_case(entry)
    return to_torch_export(case.build(), case.inputs())


def _compare(case: Case, module: nn.Module, other: Callable[[Tensor], Tensor]) -> None:
    for count in (1, 3):
        x = case.inputs(count)
        case.check_near(
            other(x), run(module, x), SAME, "the exported program differs from the module"
        )
