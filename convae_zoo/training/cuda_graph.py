"""A whole optimiser step as one CUDA graph: one launch instead of some hundred."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from convae_zoo.errors import ZooWarning

WARM_UP = 3
"""Steps taken one kernel at a time before the capture: libraries choose and allocate in them."""


class GraphedStep:
    """Takes steps on batches of one size as a CUDA graph, and all others as they are.

    The first batches of a size are trained on eagerly; then the step is captured. A step that
    cannot be captured (it waits for the device, say) stays eager, and a warning says so once.

    Args:
        step: takes an optimiser step on a uint8 batch on the device and returns the loss; the
            optimiser must be capturable.
        size: images of a batch that is captured.
    """

    def __init__(self, step: Callable[[Tensor], Tensor], size: int) -> None:
        self._eager = step
        self._size = size
        self._warm = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._images: Tensor | None = None
        self._loss: Tensor | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Take one step on a uint8 batch; return the loss, a scalar of its own."""
        if len(images) != self._size or self._warm > WARM_UP:
            return self._eager(images)
        if self._warm < WARM_UP:
            self._warm += 1
            return self._aside(images)
        if self._graph is None and not self._capture(images):
            self._warm = WARM_UP + 1
            return self._eager(images)
        return self._replay(images)

    def _aside(self, images: Tensor) -> Tensor:
        """Step on a stream of its own, as a capture will, so that it finds everything warm."""
        stream = torch.cuda.Stream(images.device)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        stream.wait_stream(torch.cuda.current_stream(images.device))
        with torch.cuda.stream(stream):
            loss = self._eager(images)
        torch.cuda.current_stream(images.device).wait_stream(stream)
        return loss

    def _capture(self, images: Tensor) -> bool:
        static, graph = images.clone(), torch.cuda.CUDAGraph()
        torch.cuda.synchronize(images.device)
        try:
            with torch.cuda.graph(graph):
                loss = self._eager(static)
        except RuntimeError as error:
            torch.cuda.synchronize(images.device)
            reason = str(error).partition("\n")[0]
            warnings.warn(
                f"the step cannot be captured as a CUDA graph and stays slower: {reason}",
                ZooWarning,
                stacklevel=2,
            )
            return False
        self._graph, self._images, self._loss = graph, static, loss
        return True

    def _replay(self, images: Tensor) -> Tensor:
        if self._graph is None or self._images is None or self._loss is None:
            raise RuntimeError("a step is replayed before it was captured")
        self._images.copy_(images, non_blocking=True)
        self._graph.replay()
        return self._loss.clone()
