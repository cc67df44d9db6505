"""A whole optimiser step as one CUDA graph: one launch instead of hundreds."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from convae_zoo.errors import PluginError, ZooWarning, is_from_torch

WARM_UP = 3
"""Eager steps before the capture, in which libraries choose kernels and allocate memory."""


class GraphedStep:
    """Takes full batches as a CUDA graph, and all other batches eagerly.

    The first full batches are eager steps; then the step is captured. A step that cannot be
    captured (because it waits for the device, say) stays eager, with one warning.

    Args:
        step: takes an optimiser step on a uint8 batch of some weight and returns the loss; the
            optimiser must be capturable.
        size: images of a full batch.
        device: a GPU.
    """

    def __init__(
        self, step: Callable[[Tensor, float], Tensor], size: int, device: torch.device
    ) -> None:
        self._eager = step
        self._size = size
        self._device = device
        self._warm = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self._images: Tensor | None = None
        self._loss: Tensor | None = None

    def __call__(self, images: Tensor, weight: float = 1.0) -> Tensor:
        """Take one step on a uint8 batch; return the loss, a new scalar."""
        images = images.to(self._device, non_blocking=True)
        if len(images) != self._size or weight != 1 or self._warm > WARM_UP:
            return self._eager(images, weight)
        if self._warm < WARM_UP:
            self._warm += 1
            return self._on_side_stream(images)
        if self.graph is None and not self._capture(images):
            self._warm = WARM_UP + 1
            return self._eager(images, weight)
        return self._replay(images)

    def _on_side_stream(self, images: Tensor) -> Tensor:
        """Step on another stream, as the capture will, to warm everything up for it."""
        stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            loss = self._eager(images, 1.0)
        torch.cuda.current_stream(self._device).wait_stream(stream)
        return loss

    def _capture(self, images: Tensor) -> bool:
        static, graph = images.clone(), torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self._device)
        try:
            with torch.cuda.graph(graph):
                loss = self._eager(static, 1.0)
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
        self.graph, self._images, self._loss = graph, static, loss
        return True

    def _replay(self, images: Tensor) -> Tensor:
        if self.graph is None or self._images is None or self._loss is None:
            raise RuntimeError("a step is replayed before it was captured")
        self._images.copy_(images, non_blocking=True)
        self.graph.replay()
        return self._loss.clone()
