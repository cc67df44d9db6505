"""Inference: reconstruct, encode and decode as fast as the machine allows."""

import contextlib
import copy
import math
import threading
import time
from typing import NoReturn

import torch
from torch import Tensor, nn

from convae_zoo.errors import UsageError, device_failures
from convae_zoo.layers import packing
from convae_zoo.layers.program import Program
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.candidates import EAGER, Candidate, Job, Runner, run_model
from convae_zoo.runtime.memory import fastest_layout, keep_freed_memory
from convae_zoo.runtime.modes import check_model, default_modes, threads
from convae_zoo.runtime.precision import choose_precision

MOST_MEASURED = 64
"""Images of the largest batch on which candidates are timed; larger ones use its choice."""

MOST_SECONDS = 0.25
"""For which the model itself may run on that batch, on one thread."""

REPEATABLE = 8
"""Images of the largest batch that packed layers are checked with if nothing is measured."""

MOST_SHAPES = 64
"""Of inputs for which the shortest way is remembered."""

_FROZEN = (
    "Inference is a frozen copy of a model; move, convert or load the model, and make another "
    "Inference of it"
)

_CHOOSING = threading.RLock()
"""One measurement at a time: another one beside it would disturb it."""


class Inference(nn.Module):
    """A frozen copy of a model that runs faster; the model itself stays as it is.

    On a CPU it measures several ways of running, once for each power of two that batch sizes round
    down to, up to 64 images, and keeps the fastest one: the model as it is or with packed layers,
    in float32 or bfloat16, on one thread or on all, or compiled by OpenVINO where it is installed.
    A measurement takes about half a second and uses noise, so the choice does not depend on the
    images.

    Images, latents and reconstructions are float32, in the model's value range. Changes of the
    model's weights after the copy are not seen, and the copy's cannot be changed.

    Args:
        model: what is copied.
        precision: ``fp32`` agrees with the model to rounding, ``bf16`` to about 1% of the value
            range in the root mean square, ``auto`` is the fastest of both.
        repeatable: measure nothing, so that equal inputs give equal outputs in every process on
            this machine with the same number of threads: packed layers, on all threads, at every
            batch size. ``auto`` is then fp32.

    Raises:
        UsageError: it is no model that can reconstruct.
        ConfigError: the precision is none of these.
    """

    def __init__(
        self, model: Autoencoder, precision: str = "auto", *, repeatable: bool = False
    ) -> None:
        super().__init__()
        check_model(model)
        model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
        if repeatable and precision == "auto":
            precision = "fp32"
        is_on_cpu = model.device.type == "cpu"
        self.precision = (
            precision
            if is_on_cpu and precision == "auto"
            else choose_precision(precision, model.device)
        )
        self.repeatable = repeatable
        with default_modes():
            self.model = copy.deepcopy(model).float().eval().requires_grad_(requires_grad=False)
            self._layout = fastest_layout(self.model)
            self.model.to(memory_format=self._layout)
        self._runner = Runner(self.model, self._layout)
        self._shortest: dict[tuple[Job, torch.Size, int], Program] = {}
        self._choices: dict[tuple[Job, bool, int, int], Candidate] = {}
        self._most_measured = REPEATABLE if repeatable else None
        self._sizes = {self.model.image_shape}  # of images that the model encodes
        if is_on_cpu:
            keep_freed_memory()
        elif self.precision == "bf16":
            for layer in self.model.modules():
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                    layer.to(torch.bfloat16)

    def forward(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Reconstruct images N×C×H×W; the same shape comes back, float32.

        Args:
            x: images in the model's value range.
            sigma: as the model takes it, N.

        Raises:
            ZooError: as the model raises it.
        """
        return self._run("reconstruct", x, sigma)

    def encode(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Map images N×C×H×W to latents N×D or N×C'×H'×W', float32.

        Args:
            x: images in the model's value range.
            sigma: as the model takes it, N.

        Raises:
            ZooError: as the model's `encode` raises it.
        """
        return self._run("encode", x, sigma)

    def decode(self, z: Tensor) -> Tensor:
        """Map latents to images N×C×H×W, float32.

        Raises:
            ZooError: as the model's `decode` raises it.
        """
        return self._run("decode", z, None)

    def _run(self, job: Job, x: Tensor, sigma: Tensor | None) -> Tensor:
        """Do a job, by the shortest way if there is one: for an image, Python takes a tenth."""
        run = self._shortest.get((job, x.shape, torch.get_num_threads()))
        is_plain = sigma is None and x.is_cpu and x.dtype == torch.float32
        if run is not None and is_plain and not torch.is_autocast_enabled("cpu"):
            with contextlib.suppress(Exception):
                return run(x)
        return self._run_anywhere(job, x, sigma)

    @torch.no_grad()
    def _run_anywhere(self, job: Job, x: Tensor, sigma: Tensor | None) -> Tensor:
        with device_failures(f"running {self.model.name} on {x.device}"):
            x = x.detach().float()
            if x.device.type != "cpu":
                return self._run_on_device(job, x, sigma)
            if not self.model.plan.takes_sigma:
                sigma = None
            if torch.is_autocast_enabled("cpu"):
                with torch.autocast("cpu", enabled=False):
                    return self._run_on_cpu(job, x, sigma)
            return self._run_on_cpu(job, x, sigma)

    def _run_on_device(self, job: Job, x: Tensor, sigma: Tensor | None) -> Tensor:
        if x.ndim == 4:  # noqa: PLR2004 - N×C×H×W
            x = x.contiguous(memory_format=self._layout)
        is_low = self.precision == "bf16"
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=is_low):
            return run_model(self.model, job, x, sigma).float()

    def _run_on_cpu(self, job: Job, x: Tensor, sigma: Tensor | None) -> Tensor:
        candidate = self._choice(job, x, sigma)
        if candidate != EAGER and x.numel() > 0:
            with contextlib.suppress(Exception):  # the model itself says what is wrong, if it is
                if job == "encode":
                    self._check_size(x, sigma)
                output = self._runner.run(job, candidate, x, sigma)
                if job != "reconstruct" or output.shape == x.shape:
                    if sigma is None:
                        self._remember(job, candidate, x)
                    return output
        return run_model(self.model, job, x, sigma)

    def _remember(self, job: Job, candidate: Candidate, x: Tensor) -> None:
        """Remember the shortest way for inputs of a shape, for some shapes."""
        key = job, x.shape, torch.get_num_threads()
        if key not in self._shortest and len(self._shortest) < MOST_SHAPES:
            shortest = self._runner.shortest(job, candidate, x)
            if shortest is not None:
                self._shortest[key] = shortest

    def _check_size(self, x: Tensor, sigma: Tensor | None) -> None:
        """Let the model look at one image of a new size: it may not be able to decode it."""
        size = tuple(x.shape[1:])
        if size not in self._sizes:
            self.model.encode(x[:1], None if sigma is None else sigma[:1])
            self._sizes.add(size)

    def _choice(self, job: Job, x: Tensor, sigma: Tensor | None) -> Candidate:
        shape = self.model.latent_shape if job == "decode" else self.model.image_shape
        images = max(1, x.numel() // math.prod(shape))
        size = 1 << (min(images, self._most_measured or MOST_MEASURED).bit_length() - 1)
        choice = self._choices.get((job, sigma is not None, size, torch.get_num_threads()))
        if choice is None:
            # A part may draw random numbers, which the caller's generator is not to notice.
            with _CHOOSING, default_modes(), torch.no_grad(), torch.random.fork_rng(devices=[]):
                choice = self._choose(job, size, takes_sigma=sigma is not None)
        return choice

    def _choose(self, job: Job, size: int, *, takes_sigma: bool) -> Candidate:
        if self._most_measured is None:
            self._most_measured = self._largest_measured()
        size = min(size, self._most_measured)
        key = (job, takes_sigma, size, torch.get_num_threads())
        if key not in self._choices:
            x, sigma = self._noise(size, takes_sigma=takes_sigma)
            if job == "decode":
                x, sigma = self.model.encode(x), None
            self._choices[key] = self._runner.fastest(
                job, self._dtypes(), x, sigma, measured=not self.repeatable
            )
        return self._choices[key]

    def _dtypes(self) -> tuple[torch.dtype, ...]:
        """Return the dtypes that the precision allows, the faster one first."""
        if self.precision == "fp32":
            return (torch.float32,)
        if self.precision == "bf16":
            return (torch.bfloat16,)
        return (torch.bfloat16, torch.float32) if packing.has_bf16() else (torch.float32,)

    def _noise(self, count: int, *, takes_sigma: bool) -> tuple[Tensor, Tensor | None]:
        generator = torch.Generator().manual_seed(0)
        low, high = self.model.value_range
        x = torch.rand(count, *self.model.image_shape, generator=generator) * (high - low) + low
        return x, torch.full((count,), 0.1) if takes_sigma else None

    def _largest_measured(self) -> int:
        """Return the images, a power of two, that the model reconstructs in `MOST_SECONDS`."""
        x, sigma = self._noise(1, takes_sigma=self.model.plan.takes_sigma)
        fastest, began = float("inf"), time.perf_counter()
        with threads(1):  # other work would disturb several
            for _ in range(4):
                started = time.perf_counter()
                self.model(x, sigma)
                fastest = min(fastest, time.perf_counter() - started)
                if time.perf_counter() - began > MOST_SECONDS:
                    break
        images = MOST_SECONDS / fastest
        return 1 << (max(1, min(int(images), MOST_MEASURED)).bit_length() - 1)

    def train(self, mode: bool = True) -> "Inference":  # noqa: ARG002 - as `nn.Module` has it
        """Stay in evaluation mode, as a part of a module that is trained."""
        return super().train(mode=False)

    def _apply(self, *_: object, **__: object) -> NoReturn:
        raise UsageError(_FROZEN)

    def load_state_dict(self, *_: object, **__: object) -> NoReturn:
        """Refuse other weights, because what runs was made from the present ones.

        Raises:
            UsageError: always.
        """
        raise UsageError(_FROZEN)

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy and a pickle keep: not the programs, which a copy makes itself."""
        return {**self.__dict__, "_shortest": {}}

    def __repr__(self) -> str:
        """Return the model's name, the precision, where it runs, and what was chosen so far."""
        parts = [self.model.name, self.precision, str(self.model.device)]
        parts += [f"{job} {size}: {choice}" for (job, _, size, _), choice in self._choices.items()]
        return f"Inference({', '.join(parts)})"
