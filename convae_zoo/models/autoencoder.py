"""The autoencoder: an ``nn.Module`` that joins an encoder and a decoder."""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import torch
from torch import Tensor, nn

from convae_zoo.errors import ContractError, UsageError, ZooError, device_failures, is_of_machine
from convae_zoo.layers import use_fast_layers
from convae_zoo.models.card import model_html
from convae_zoo.models.contract import call_part, check_figures, check_output, check_terms
from convae_zoo.models.modes import eval_mode
from convae_zoo.models.plan import Plan
from convae_zoo.registry.specs import DecoderSpec, EncoderSpec, shape_text

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

Terms = dict[str, Tensor]
"""A part's own loss terms by name: scalars, already weighted."""

RunPart = Callable[..., tuple[Tensor, Terms]]
"""Calls a part on a batch and, of an encoder that takes it, the noise's standard deviation."""

Picture = Union["Image", "np.ndarray[Any, Any]", Tensor, str, Path]


class Autoencoder(nn.Module):
    """An encoder and a decoder whose latents agree.

    The state dict's names are ``encoder.…`` and ``decoder.…``. Images are floats N×C×H×W in
    `value_range`; `preprocess` creates them from pictures and `postprocess` converts them back.

    A part may do more than map its input to its output; each of these methods is optional:

    - ``forward_with_terms(x) -> (output, terms)``: also returns the part's own loss terms, such as
      a variational encoder's KL divergence.
    - ``start_from_data(images, value_range)``: initialises the weights from the training images,
      uint8 N×C×H×W.
    - ``report(inputs) -> dict[str, float]``: metrics of the part's own, such as a codebook's usage;
      `inputs` is an iterable of batches.
    - ``sample_latent(count, generator)``, of an encoder: samples latents from its prior.
    - ``to_codes(latent)`` and ``from_codes(codes)``, with ``code_count``, of an encoder with
      discrete latents: convert latents to int64 codes N×…, from 0 up to `code_count`, and back
      without loss. ``convae-zoo encode`` then stores the codes, in as few bits as they need.

    Args:
        encoder: maps images to latents.
        decoder: maps latents to images.
        plan: what the two were built from.

    Attributes:
        corruption: the corruption that the weights were trained to undo, as in
            ``"gaussian(sigma=25)"``; empty if there was none.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *, plan: Plan) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.plan = plan
        self.corruption = ""
        self._checked_shapes: set[tuple[int, ...]] = set()  # other image shapes that work
        use_fast_layers(self)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one image, (C, H, W)."""
        return self.plan.image_shape

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one latent, (D,) or (C, H, W)."""
        return self.plan.latent_shape

    @property
    def value_range(self) -> tuple[float, float]:
        """The (low, high) that black and white are mapped to."""
        return self.plan.value_range

    @property
    def name(self) -> str:
        """The model's name; of a composed model, ``encoder+decoder``."""
        return self.plan.label

    def encode(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Map images N×C×H×W to latents N×D or N×C'×H'×W'.

        In eval mode no gradients are computed; ``model.encoder(x)`` computes them.

        Args:
            x: images in the model's value range.
            sigma: as `forward` takes it.

        Raises:
            ContractError: the model cannot reconstruct images of this size.
            PluginError: the encoder fails, or its output is not what it declares.
        """
        with self._no_grad_in_eval():
            if self._has_declared_shape(x):
                latent = self._run(self.plan.encoder, _plain, self.encoder, x, sigma)[0]
                check_output(self.plan.encoder, self.latent_shape, latent, x)
                return latent
            with self._other_size(x):
                latent = _plain(self.encoder, x, *self._known(sigma))[0]
                shape = tuple(x.shape[1:])
                if shape not in self._checked_shapes and not self.training:
                    self._check_size(self.decoder(latent[:1]), x)
                    self._checked_shapes.add(shape)
            return latent

    def decode(self, z: Tensor) -> Tensor:
        """Map latents to images N×C×H×W.

        In eval mode no gradients are computed; ``model.decoder(z)`` computes them.

        Raises:
            PluginError: the decoder fails, or its output is not what it declares.
        """
        with self._no_grad_in_eval():
            if tuple(z.shape[1:]) != self.latent_shape:
                return _plain(self.decoder, z)[0]
            images = self._run(self.plan.decoder, _plain, self.decoder, z)[0]
            check_output(self.plan.decoder, self.image_shape, images, z)
            return images

    def forward(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Reconstruct images N×C×H×W; the output has the same shape.

        Images of other sizes are accepted if the parts preserve the size, as fully convolutional
        parts do.

        Args:
            x: images in the model's value range.
            sigma: standard deviation of each image's noise with black at 0 and white at 1, N; used
                only if the plan has `takes_sigma`.

        Raises:
            ContractError: the model cannot reconstruct images of this size.
            PluginError: a part fails, or its output is not what it declares.
        """
        return self._reconstruct(x, sigma, _plain)[0]

    def forward_with_terms(self, x: Tensor, sigma: Tensor | None = None) -> tuple[Tensor, Terms]:
        """Reconstruct images, as `forward` does, and collect the parts' own loss terms.

        Raises:
            ZooError: as `forward` does.
        """
        return self._reconstruct(x, sigma, _with_terms)

    def _reconstruct(self, x: Tensor, sigma: Tensor | None, run: RunPart) -> tuple[Tensor, Terms]:
        if self._has_declared_shape(x):
            latent, encoder_terms = self._run(self.plan.encoder, run, self.encoder, x, sigma)
            check_output(self.plan.encoder, self.latent_shape, latent, x)
            images, decoder_terms = self._run(self.plan.decoder, run, self.decoder, latent)
            check_output(self.plan.decoder, self.image_shape, images, x)
            check_terms(self.plan.encoder, encoder_terms)
            check_terms(self.plan.decoder, decoder_terms)
        else:
            with self._other_size(x):
                latent, encoder_terms = run(self.encoder, x, *self._known(sigma))
                images, decoder_terms = run(self.decoder, latent)
                self._check_size(images, x)
        for name, term in decoder_terms.items():  # both parts may have a term of the same name
            encoder_terms[name] = encoder_terms[name] + term if name in encoder_terms else term
        return images, encoder_terms

    def _known(self, sigma: Tensor | None) -> tuple[Tensor, ...]:
        """Return what the encoder is given beside the images."""
        return () if sigma is None or not self.plan.takes_sigma else (sigma,)

    def _run(
        self,
        spec: EncoderSpec | DecoderSpec,
        run: RunPart,
        part: nn.Module,
        x: Tensor,
        sigma: Tensor | None = None,
    ) -> tuple[Tensor, Terms]:
        """Run a part on a batch of the declared shape; an exception of its own names its plugin."""
        inputs = (x, *self._known(sigma))
        return call_part(
            spec, "its forward pass", partial(run, part), *inputs, accepts=lambda: self._takes(x)
        )

    def _methods(self, name: str) -> Iterator[tuple[EncoderSpec | DecoderSpec, Callable[..., Any]]]:
        """Yield an optional method of each part that has it, with the part's spec."""
        parts = ((self.plan.encoder, self.encoder), (self.plan.decoder, self.decoder))
        for spec, part in parts:
            if (method := getattr(part, name, None)) is not None:
                yield spec, method

    def _takes(self, x: Tensor) -> bool:
        """Return whether a batch is on the model's device, and of its dtype or autocast."""
        is_cast = torch.is_autocast_enabled(x.device.type) and x.is_floating_point()
        return x.device == self.device and (x.dtype == self.dtype or is_cast)

    def _has_declared_shape(self, x: Tensor) -> bool:
        return tuple(x.shape[1:]) == self.image_shape

    def _check_size(self, images: Tensor, x: Tensor) -> None:
        if images.shape[1:] != x.shape[1:]:
            got = shape_text(tuple(images.shape[1:]))
            raise self._size_error(x, f"it reconstructs them as images {got}")

    @contextlib.contextmanager
    def _other_size(self, x: Tensor) -> Iterator[None]:
        """Turn the parts' errors on images of another size into a `ContractError` of one line."""
        try:
            yield
        except ZooError:
            raise
        except Exception as error:
            if is_of_machine(error):
                raise
            raise self._size_error(x, str(error).partition("\n")[0]) from error

    def _size_error(self, x: Tensor, reason: str) -> ContractError:
        return ContractError(
            f"model {self.name!r} takes images N×{shape_text(self.image_shape)}, got "
            f"{shape_text(tuple(x.shape))}; fit them with model.preprocess ({reason})"
        )

    def _no_grad_in_eval(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext() if self.training else torch.no_grad()

    def start_from_data(self, images: Tensor) -> None:
        """Initialise the weights from the training images, in the parts that support it.

        Args:
            images: uint8, N×C×H×W.
        """
        for spec, method in self._methods("start_from_data"):
            call_part(spec, "its start_from_data", method, images, self.value_range)

    @torch.no_grad()
    def report(self, images: Tensor, *, batch_size: int = 256) -> dict[str, float]:
        """Collect the parts' own metrics over a set of images; empty if they have none.

        The model runs in eval mode; each submodule's own mode is restored.

        Args:
            images: uint8, N×C×H×W.
            batch_size: images per batch.
        """
        figures: dict[str, float] = {}
        with eval_mode(self):
            for spec, method in self._methods("report"):
                batches: Iterator[Tensor] = map(self.to_float, torch.split(images, batch_size))
                inputs = batches if spec is self.plan.encoder else map(self.encode, batches)
                figures |= check_figures(spec, call_part(spec, "its report", method, inputs))
        return figures

    @torch.no_grad()
    def sample(self, count: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Decode latents sampled from the encoder's prior.

        Args:
            count: how many images.
            generator: random generator on the model's device; None for PyTorch's default one.

        Returns:
            Images count×C×H×W in the model's value range, clipped to it.

        Raises:
            UsageError: the encoder has no prior, or `count` is below 1.
            PluginError: a part fails, or its output is not what it declares.
            DeviceError: memory ran out.
        """
        sample_latent = getattr(self.encoder, "sample_latent", None)
        if sample_latent is None:
            raise UsageError(
                f"model {self.name!r} cannot sample images: its encoder "
                f"{self.plan.encoder.name!r} has no prior; use a variational model"
            )
        if count < 1:
            raise UsageError(f"count must be at least 1, got {count}")
        spec = self.plan.encoder
        with device_failures(f"sampling {count:,} images from {self.name}", "sample fewer"):
            latent = call_part(spec, "its sample_latent", sample_latent, count, generator)
            like = torch.empty(count, device=self.device, dtype=self.dtype)
            check_output(spec, self.latent_shape, latent, like)
            return self.decode(latent).clamp(*self.value_range)

    def preprocess(self, images: Picture | Sequence[Picture]) -> Tensor:
        """Turn pictures into a float tensor N×C×H×W in the model's value range, on its device.

        Args:
            images: one picture or several: PIL images of any mode, paths, uint8 arrays H×W,
                H×W×C or N×H×W×C, or uint8 tensors C×H×W or N×C×H×W. `convae_zoo.data.pixels.fit`
                fits them to the model's channels and size.

        Raises:
            DataError: a picture cannot be read, or is in none of these forms.
        """
        from convae_zoo.data import pixels  # imports Pillow, which loading does not need

        return self.to_float(pixels.load_pictures(images, self.image_shape))

    def postprocess(self, x: Tensor) -> Tensor:
        """Turn images in the model's value range into uint8, N×C×H×W, clipped."""
        from convae_zoo.data import pixels

        return pixels.to_uint8(x, self.value_range)

    def to_float(self, images: Tensor) -> Tensor:
        """Map images N×C×H×W in units of 255 to the model's value range, device and dtype."""
        from convae_zoo.data import pixels

        return pixels.to_float(images.to(self.device), self.value_range).to(self.dtype)

    @property
    def device(self) -> torch.device:
        """The device that the weights are on."""
        tensors = itertools.chain(self.parameters(), self.buffers())
        return next((t.device for t in tensors), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point dtype of the weights."""
        tensors = itertools.chain(self.parameters(), self.buffers())
        return next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)

    def __repr__(self) -> str:
        """Return one line; the layers are printed by ``print(model.encoder)``."""
        count = sum(parameter.numel() for parameter in self.parameters())
        image, latent = shape_text(self.image_shape), shape_text(self.latent_shape)
        return f"Autoencoder({self.name}: {image} -> {latent} -> {image}, {count:,} parameters)"

    def _repr_html_(self) -> str:
        return model_html(self.plan, self)


def common_image_shape(models: Iterable[tuple[str, Autoencoder]]) -> tuple[int, int, int]:
    """Return the image shape that named models have in common.

    Raises:
        UsageError: two of them differ in it.
    """
    (first, model), *others = models
    for name, other in others:
        if other.image_shape != model.image_shape:
            raise UsageError(
                f"{first} takes images of {shape_text(model.image_shape)} and {name} of "
                f"{shape_text(other.image_shape)}; compare models of one image shape"
            )
    return model.image_shape


def _plain(part: nn.Module, *inputs: Tensor) -> tuple[Tensor, Terms]:
    return part(*inputs), {}


def _with_terms(part: nn.Module, *inputs: Tensor) -> tuple[Tensor, Terms]:
    method = getattr(part, "forward_with_terms", None)
    if method is None:
        return part(*inputs), {}
    output, terms = method(*inputs)
    return output, dict(terms)
