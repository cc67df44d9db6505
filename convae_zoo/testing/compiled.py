"""Properties of what compilers and exporters make of a part."""

import functools
import shutil
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch._inductor import config as inductor

from convae_zoo import export
from convae_zoo.testing.configs import small_case
from convae_zoo.testing.entry import Case, Entry, run
from convae_zoo.testing.result import Skip
from convae_zoo.testing.tolerances import SAME, difference


@functools.cache
def backend() -> str:
    """Name the backend: inductor, or aot_eager where there is no C++ compiler."""
    return "inductor" if shutil.which("g++") or shutil.which("clang++") else "aot_eager"


def compile_(entry: Entry) -> None:
    """Eager and ``torch.compile`` agree to `SAME`."""
    case = small_case(entry)
    module, x = case.build(), case.inputs()
    expected = run(module, x)
    try:
        # Kernels are compiled here: starting a pool of compilers takes longer than they do.
        with inductor.patch(compile_threads=1):
            compiled = run(torch.compile(module, backend=backend()), x)
    finally:
        torch.compiler.reset()
    if (far := difference(compiled, expected)) > SAME:
        raise case.failure(f"torch.compile ({backend()}) changes the output by {far:.1g}", 2)


def torch_export(entry: Entry) -> None:
    """``torch.export`` takes it with a free batch size, and what it gives agrees."""
    case = small_case(entry)
    module = case.build()
    program = export.to_torch_export(module, case.inputs()).module()
    _compare(case, module, lambda x: run(program, x))


def onnx(entry: Entry) -> None:
    """It becomes an ONNX model with a free batch size that agrees in onnxruntime."""
    if missing := export.missing_onnx_packages():
        raise Skip(f"{', '.join(missing)} not installed: pip install 'convae-zoo[export]'")
    case = small_case(entry)
    module = case.build()
    program = export.to_onnx(module, case.inputs(), "input", "output")
    session = export.onnx_session(program.model_proto.SerializeToString())
    _compare(case, module, lambda x: export.run_onnx(session, x))


def _compare(case: Case, module: nn.Module, other: Callable[[Tensor], Tensor]) -> None:
    for count in (1, 3):
        x = case.inputs(count)
        if (far := difference(other(x), run(module, x))) > SAME:
            raise case.failure(f"what is exported differs by {far:.1g}", count)
