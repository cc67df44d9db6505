"""A whole optimiser step as one CUDA graph: one launch instead of hundreds."""

import copy
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from convae_zoo.data.corrupt import Corrupted
from convae_zoo.errors import PluginError, ZooWarning, is_from_torch

WARM_UP = 3
"""Eager steps before the capture, in which libraries choose kernels and allocate memory."""


class GraphedStep:
    """Takes full batches as a CUDA graph, and all other batches eagerly.

    The first full batches are eager steps; then the step is captured. A step that cannot be
    captured (because it waits for the device, say) stays eager, with one warning.

    Args:
        step: takes an optimiser step on a uint8 batch of some weight, and its corrupted images if
            there are any, and returns the loss; the optimiser must be capturable.
        size: images of a full batch.
        device: a GPU.
    """

    def __init__(
        self,
        step: Callable[[Tensor, float, Corrupted | None], Tensor],
        size: int,
        device: torch.device,
    ) -> None:
        self._eager = step
        self._size = size
        self._device = device
        self._warm = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor, Corrupted | None] | None = None
        self._loss: Tensor | None = None

    def __call__(
        self, images: Tensor, weight: float = 1.0, corrupted: Corrupted | None = None
    ) -> Tensor:
        """Take one step on a uint8 batch; return the loss, a new scalar."""
        images = images.to(self._device, non_blocking=True)
        if len(images) != self._size or weight != 1 or self._warm > WARM_UP:
            return self._eager(images, weight, corrupted)
        if self._warm < WARM_UP:
            self._warm += 1
            return self._on_side_stream(images, corrupted)
        if self.graph is None and not self._capture(images, corrupted):
            self._warm = WARM_UP + 1
            return self._eager(images, weight, corrupted)
        return self._replay(images, corrupted)

    def _on_side_stream(self, images: Tensor, corrupted: Corrupted | None) -> Tensor:
        """Step on another stream, as the capture will, to warm everything up for it."""
        stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            loss = self._eager(images, 1.0, corrupted)
        torch.cuda.current_stream(self._device).wait_stream(stream)
        return loss

    def _capture(self, images: Tensor, corrupted: Corrupted | None) -> bool:
        inputs, graph = copy.deepcopy((images, corrupted)), torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self._device)
        try:
            with torch.cuda.graph(graph):
                loss = self._eager(inputs[0], 1.0, inputs[1])
        except (RuntimeError, PluginError) as error:
            if not is_from_torch(error):
                raise
            torch.cuda.synchronize(self._device)
            reason = str(error).partition("\n")[0]
            warnings.warn(
                f"the step cannot be captured as a CUDA graph and stays slower: {reason}",
                ZooWarning,
                stacklevel=2,
            )
            return False
        self.graph, self._inputs, self._loss = graph, inputs, loss
        return True

    def _replay(self, images: Tensor, corrupted: Corrupted | None) -> Tensor:
        if self.graph is None or self._inputs is None or self._loss is None:
            raise RuntimeError("a step is replayed before it was captured")
        given = _tensors(images, corrupted)
        for static, tensor in zip(_tensors(*self._inputs), given, strict=True):
            static.copy_(tensor, non_blocking=True)
        self.graph.replay()
        return self._loss.clone()


def _tensors(images: Tensor, corrupted: Corrupted | None) -> list[Tensor]:
    more = [] if corrupted is None else [corrupted.images, corrupted.sigma]
    return [images, *(tensor for tensor in more if tensor is not None)]
