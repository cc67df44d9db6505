"""The ways to run a frozen model on a CPU, and the fastest of them, by measuring it."""

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import attrs
import torch
from torch import Tensor, fx, nn

from convae_zoo.layers import packing
from convae_zoo.layers.program import Program, assemble
from convae_zoo.layers.tracing import trace
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime import openvino_program
from convae_zoo.runtime.fastest import fastest_of
from convae_zoo.runtime.modes import threads
from convae_zoo.runtime.openvino_program import OpenVINOProgram

Job: TypeAlias = Literal["reconstruct", "encode", "decode"]

PARTS: Mapping[Job, tuple[str, ...]] = {
    "reconstruct": ("encoder", "decoder"),
    "encode": ("encoder",),
    "decode": ("decoder",),
}
"""The parts of a model that do a job, one after the other."""

MOST_ON_ONE_THREAD = 4
"""Images of a batch for which one thread may be faster than several."""

_DEVIATION = {torch.float32: 1e-3, torch.bfloat16: 0.03}
"""Root mean square of the deviation from the model that is accepted.

It is relative to that of the output or, for images, to a quarter of the value range. It finds a
wrong program. Rounding is far below.
"""

_REPEATED = 1e-6
"""Of the output: a model that deviates more from itself draws random numbers."""


@attrs.frozen
class Candidate:
    """One way to run a model.

    Attributes:
        engine: the parts as they are, as programs of packed layers, or compiled by OpenVINO.
        dtype: of the weights and the features between layers, unless they run as they are.
        layout: of images, if the parts run as they are.
        one_thread: whether to use one thread, or as many as the caller.
    """

    engine: Literal["eager", "packed", "openvino"] = "eager"
    dtype: torch.dtype = torch.float32
    layout: torch.memory_format = torch.contiguous_format
    one_thread: bool = False

    def __str__(self) -> str:
        """Return the engine, the precision and, if it is one, the number of threads."""
        precision = "bf16" if self.dtype == torch.bfloat16 else "fp32"
        return f"{self.engine} {precision}{' on one thread' if self.one_thread else ''}"


EAGER = Candidate()


class Runner:
    """Runs a frozen model by any candidate; programs are made when they are first used.

    Args:
        model: in eval mode, float32, on the CPU, channels_last if `layout` is.
        layout: the layout that the model's images may have.
    """

    def __init__(self, model: Autoencoder, layout: torch.memory_format) -> None:
        self._model = model
        self._layout = layout
        self._programs: dict[tuple[object, ...], Program] = {}
        self._compiled: dict[tuple[object, ...], OpenVINOProgram] = {}
        self._agreed: dict[tuple[object, ...], bool] = {}  # of what was compiled, for a shape

    def __reduce__(self) -> tuple[type["Runner"], tuple[object, ...]]:
        """Copy or pickle the model; the copy makes its own programs."""
        return Runner, (self._model, self._layout)

    def _candidates(
        self, dtypes: tuple[torch.dtype, ...], images: int, *, measured: bool
    ) -> list[Candidate]:
        """List the candidates for a batch, the most promising ones first."""
        found = []
        if packing.is_available() and self._layout == torch.channels_last:
            found += [Candidate("packed", dtype) for dtype in dtypes]
        if torch.float32 in dtypes:
            found += [Candidate(layout=layout) for layout in {self._layout, EAGER.layout}]
        if torch.get_num_threads() > 1 and images <= MOST_ON_ONE_THREAD:
            found += [attrs.evolve(each, one_thread=True) for each in found]
        if measured and openvino_program.is_installed():
            found.append(Candidate("openvino", dtypes[0]))
        return found

    def run(self, job: Job, candidate: Candidate, x: Tensor, sigma: Tensor | None) -> Tensor:
        """Do a job: float32 images or latents to float32 latents or images."""
        with threads(1 if candidate.one_thread else torch.get_num_threads()):
            if candidate.engine == "packed":
                return self._run_programs(job, candidate.dtype, x, sigma).float()
            if candidate.engine == "openvino":
                program = self.compiled(job, candidate.dtype, x, sigma)
                return program(x) if sigma is None else program(x, sigma)
            if x.ndim == 4:  # noqa: PLR2004 - N×C×H×W
                x = x.contiguous(memory_format=candidate.layout)
            return run_model(self._model, job, x, sigma)

    def fastest(
        self,
        job: Job,
        dtypes: tuple[torch.dtype, ...],
        x: Tensor,
        sigma: Tensor | None,
        *,
        measured: bool,
    ) -> Candidate:
        """Return the fastest candidate for batches like `x` that agrees with the model.

        Args:
            job: what is done.
            dtypes: of the candidates.
            x: an example.
            sigma: as the model takes it.
            measured: time the candidates; otherwise the first one that agrees is returned.

        Raises:
            ZooError: the model itself fails.
        """
        expected = run_model(self._model, job, x, sigma)
        change = _size(run_model(self._model, job, x, sigma) - expected)
        if not change <= _REPEATED * _size(expected):  # or they are not finite
            return EAGER
        calls: dict[Candidate, Callable[[], Tensor]] = {}
        for candidate in self._candidates(dtypes, len(x), measured=measured):
            call = functools.partial(self.run, job, candidate, x, sigma)
            with contextlib.suppress(Exception):  # does not take this layout, dtype or operation
                if self._agrees(job, call(), expected, _DEVIATION[candidate.dtype]):
                    calls[candidate] = call
                    if not measured:
                        break
        chosen = fastest_of(calls) if len(calls) > 1 else next(iter(calls), EAGER)
        lost = self._compiled.get((job, dtypes[0], 1 if sigma is None else 2))
        if chosen.engine != "openvino" and lost is not None:
            lost.forget(len(x))
        return chosen

    def _run_programs(
        self, job: Job, dtype: torch.dtype, x: Tensor, sigma: Tensor | None
    ) -> Tensor:
        if job != "decode":
            inputs = (x,) if sigma is None else (x, sigma)
            x = self._program("encoder", dtype, *inputs)(*inputs)
            if job == "encode":
                return x
        return self._program("decoder", dtype, x)(x)

    def shortest(self, job: Job, candidate: Candidate, x: Tensor) -> Program | None:
        """Return what `run` did for `x` without sigma, with fewer steps before and after it.

        It takes inputs of the same shape, float32, on the same number of threads, and not within
        autocast. There is none for some candidates.
        """
        if candidate.one_thread or candidate.engine == "eager":
            return None
        if candidate.engine == "openvino":
            return self.compiled(job, candidate.dtype, x, None)
        keys = [(part, candidate.dtype, 1, len(x) == 1) for part in PARTS[job]]
        programs = [self._programs[key] for key in keys]

        def run(x: Tensor) -> Tensor:
            with torch.no_grad():
                for program in programs:
                    x = program(x)
                return x.float()

        return run

    def compiled(self, job: Job, dtype: torch.dtype, x: Tensor, sigma: Tensor | None) -> Program:
        """Return what OpenVINO compiled for such inputs, once it agrees with the model.

        Raises:
            Exception: OpenVINO cannot do it.
        """
        inputs = (x,) if sigma is None else (x, sigma)
        key = (job, dtype, len(inputs))
        shape = (*key, x.shape)
        if shape not in self._agreed:
            self._agreed[shape] = False  # it stays so if anything fails
            if key not in self._compiled:
                self._compiled[key] = OpenVINOProgram(self._traced(job, inputs), inputs, dtype)
            output = self._compiled[key].of_shape(*inputs)(*inputs)
            expected = run_model(self._model, job, x, sigma)
            self._agreed[shape] = self._agrees(job, output, expected, _DEVIATION[dtype])
        if not self._agreed[shape]:
            raise RuntimeError("OpenVINO does not compute what the model does for this shape")
        return self._compiled[key].of_shape(*inputs)

    def _traced(self, job: Job, inputs: tuple[Tensor, ...]) -> list[fx.GraphModule]:
        """Return the parts without Python's decisions, which OpenVINO would take once for all."""
        parts = []
        for name in PARTS[job]:
            takes_sigma = name == "encoder" and len(inputs) > 1
            traced = trace(getattr(self._model, name), takes_sigma=takes_sigma)
            if traced is None:
                raise RuntimeError(f"the {name} cannot be traced")
            parts.append(traced)
        return parts

    def _agrees(self, job: Job, output: Tensor, expected: Tensor, tolerance: float) -> bool:
        low, high = self._model.value_range
        scale = max(_size(expected), 0.0 if job == "encode" else (high - low) / 4)
        is_alike = output.shape == expected.shape
        return is_alike and _size(output - expected) <= tolerance * scale

    def _program(self, part: str, dtype: torch.dtype, *inputs: Tensor) -> Program:
        """Return a part as a program; one image is packed for apart from several."""
        key = (part, dtype, len(inputs), len(inputs[0]) == 1)
        program = self._programs.get(key)
        if program is None:
            program = self._assembled(part, dtype, *inputs)
            self._programs[key] = program
        return program

    def _assembled(self, name: str, dtype: torch.dtype, *inputs: Tensor) -> Program:
        part: nn.Module = getattr(self._model, name)
        own = self._model.image_shape if name == "encoder" else self._model.latent_shape
        traced = trace(part, takes_sigma=len(inputs) > 1)
        if traced is not None:
            try:
                return assemble(traced, *inputs, dtype=dtype)
            except (RuntimeError, AttributeError):  # operators are not public
                if tuple(inputs[0].shape[1:]) != tuple(own):
                    raise  # it is perhaps these sizes that the part does not take

        def as_it_is(x: Tensor, *more: Tensor) -> Tensor:
            if x.ndim == 4:  # noqa: PLR2004 - N×C×H×W
                x = x.contiguous(memory_format=torch.channels_last)
            is_low = dtype != torch.float32
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_low):
                output: Tensor = part(x.float(), *more)
                return output

        return as_it_is


def run_model(model: Autoencoder, job: Job, x: Tensor, sigma: Tensor | None) -> Tensor:
    """Do a job with the model itself."""
    if job == "decode":
        return model.decode(x)
    return model.encode(x, sigma) if job == "encode" else model(x, sigma)


def _size(x: Tensor) -> float:
    return float(x.square().mean().sqrt())
