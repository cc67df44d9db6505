"""Parts of a frozen model compiled by OpenVINO, where it is installed; CPU only."""

import contextlib
import functools
import importlib
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convae_zoo.layers.program import Program

SHARED_FROM = 2**19
"""Bytes of an input that is not copied."""

_HIDING = threading.RLock()
"""One thread at a time hides OpenVINO's telemetry: the other one would show it too early."""

_HINTS = {torch.float32: "f32", torch.bfloat16: "bf16"}


def is_installed() -> bool:
    """Return whether OpenVINO can be imported."""
    return "openvino" in sys.modules or find_spec("openvino") is not None


class OpenVINOProgram:
    """Parts that run one after the other; float32 in and out.

    They are compiled for each number of threads and each batch size that is a power of two; one
    more program, which is slower, takes all other shapes. The parts were traced, so the output for
    a shape other than the example's must be compared with their own once.

    Args:
        parts: in eval mode, on the CPU; the first one takes the inputs.
        example: the inputs, N×... each.
        dtype: float32 or bfloat16, in which it computes.

    Raises:
        Exception: the parts have an operation that OpenVINO lacks, or they cannot be traced.
    """

    def __init__(
        self, parts: Sequence[nn.Module], example: tuple[Tensor, ...], dtype: torch.dtype
    ) -> None:
        self._graph = _graph_of(_Chain(parts), example)
        self._hint = _HINTS[dtype]
        self._sizes = [x.shape[1:] for x in example]
        self._calls: dict[tuple[int, int, int], Program] = {}
        self._lock = threading.Lock()  # what is compiled serves one thread at a time

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Run on inputs N×..., float32; N×... float32 comes back.

        Raises:
            Exception: OpenVINO does not take their shapes.
        """
        return self.of_shape(*inputs)(*inputs)

    def of_shape(self, *inputs: Tensor) -> Program:
        """Return what runs on inputs of these shapes, for this number of threads.

        Raises:
            Exception: OpenVINO does not take these shapes.
        """
        count = len(inputs[0])
        is_fixed = count.bit_count() == 1 and [x.shape[1:] for x in inputs] == self._sizes
        key = os.getpid(), torch.get_num_threads(), count if is_fixed else 0
        with self._lock:
            if key not in self._calls:
                compiled = self._fixed(inputs) if is_fixed else self._free()
                self._calls[key] = _of_this_process(compiled)
            return self._calls[key]

    def forget(self, count: int) -> None:
        """Free what was compiled for this batch size, for this number of threads."""
        with self._lock:
            self._calls.pop((os.getpid(), torch.get_num_threads(), count), None)

    def _fixed(self, inputs: tuple[Tensor, ...]) -> Program:
        graph = self._graph.clone()
        graph.reshape({number: list(x.shape) for number, x in enumerate(inputs)})
        request = self._compiled(graph)
        if sum(x.nbytes for x in inputs) < SHARED_FROM:
            return self._copying(request)
        return self._sharing(request)

    def _copying(self, request: Any) -> Program:
        """Let a request use its own memory: for a few images, giving it other memory is slower."""
        given = [each.data for each in request.input_tensors]
        found = request.get_output_tensor().data

        def run(*inputs: Tensor) -> Tensor:
            with self._lock:
                for array, x in zip(given, inputs, strict=True):
                    array[...] = x.detach().numpy()  # PyTorch's threads would go on spinning
                request.start_async()
                request.wait()
                return torch.from_numpy(found.copy())

        return run

    def _sharing(self, request: Any) -> Program:
        """Let a request read the inputs where they are, and write to what is returned."""
        wrap = functools.partial(import_openvino().Tensor, shared_memory=True)
        shape = tuple(request.get_output_tensor().shape)

        def run(*inputs: Tensor) -> Tensor:
            arrays = [np.ascontiguousarray(x.detach().numpy()) for x in inputs]
            output = np.empty(shape, np.float32)
            with self._lock:
                for number, array in enumerate(arrays):
                    request.set_input_tensor(number, wrap(array))
                request.set_output_tensor(0, wrap(output))
                request.start_async()
                request.wait()
            return torch.from_numpy(output)

        return run

    def _free(self) -> Program:
        request = self._compiled(self._graph)

        def run(*inputs: Tensor) -> Tensor:
            arrays = [each.detach().contiguous().numpy() for each in inputs]
            with self._lock:
                return torch.from_numpy(request.infer(arrays, share_inputs=True)[0])

        return run

    def _compiled(self, graph: Any) -> Any:
        settings = {
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": self._hint,
            "PERFORMANCE_HINT": "LATENCY",
        }
        return engine().compile_model(graph, "CPU", settings).create_infer_request()


class _Chain(nn.Module):
    def __init__(self, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """Run the parts one after the other."""
        y: Tensor = self.parts[0](x, *more)
        for part in self.parts[1:]:
            y = part(y)
        return y


def _of_this_process(program: Program) -> Program:
    """Refuse to run in a process forked from this one, which lacks the threads: it would hang."""
    home = os.getpid()

    def run(*inputs: Tensor) -> Tensor:
        if os.getpid() != home:
            raise RuntimeError("it was compiled in another process")
        return program(*inputs)

    return run


def engine() -> Any:
    """Return this process's engine, which is never freed.

    An engine puts the stack of the thread's signal handlers aside for one of its own, and puts it
    back when it is freed. Of two that are freed in the order in which they were made, the second
    one puts back a stack that is gone, and the next signal ends the process.
    """
    return _engine(os.getpid())


@functools.cache
def _engine(process: int) -> Any:  # noqa: ARG001 - a forked process needs one of its own
    return import_openvino().Core()


def import_openvino() -> Any:
    """Import OpenVINO without telling anyone.

    Raises:
        ImportError: it is not installed.
    """
    with _without_telemetry():
        return importlib.import_module("openvino")


@contextlib.contextmanager
def _without_telemetry() -> Iterator[None]:
    """Hide the package by which OpenVINO reports over the network that it is imported."""
    name = "openvino_telemetry"
    with _HIDING:
        if name in sys.modules:
            yield
            return
        sys.modules[name] = None  # type: ignore[assignment]  # so that its import fails
        try:
            yield
        finally:
            del sys.modules[name]


def _graph_of(module: nn.Module, example: tuple[Tensor, ...]) -> Any:
    """Translate a module to OpenVINO's graph, with a free batch size.

    `openvino.convert_model` does the same, and reports over the network that it was called.
    """
    with _without_telemetry(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # OpenVINO calls `torch.jit`, which is deprecated
        frontends = importlib.import_module("openvino.frontend")
        decoders = importlib.import_module("openvino.frontend.pytorch.ts_decoder")
        frontend = frontends.FrontEndManager().load_by_framework("pytorch")
        decoder = decoders.TorchScriptPythonDecoder(
            module, example_input=example, trace_kwargs={"check_trace": False}
        )
        return frontend.convert(frontend.load(decoder))
