"""Loading a set of images in batches on a device."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

RESIDENT_SHARE = 0.5
"""Share of a GPU's free memory that a set may occupy; a larger set is streamed."""

PREFETCH = 3
"""Batches that are prefetched if a set is streamed."""


class BatchLoader:
    """Loads the images of a set in batches, on a device, in any order.

    On a GPU the whole set is kept in its memory if it fits; otherwise a thread prefetches batches
    into pinned memory. On a CPU batches are indexed directly; for a set in a mapped file they are
    prefetched too, to hide the disk's latency. The batches are the same in every case.

    Args:
        images: uint8, N×C×H×W, on the CPU.
        device: the device of the batches.
        budget: bytes that the set may occupy on a GPU; by default half of its free memory.
        streamed: prefetch on a CPU.
    """

    def __init__(
        self,
        images: Tensor,
        device: torch.device,
        *,
        budget: int | None = None,
        streamed: bool = False,
    ) -> None:
        self.device = device
        self.resident = not streamed
        if device.type == "cuda":
            self.resident = fits_on(device, images.nbytes, budget=budget)
        self._images = images.to(device) if self.resident else images

    @property
    def index_device(self) -> torch.device:
        """The device of the images, on which indices are used."""
        return self._images.device

    def batches(self, chosen: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield one batch for each tensor of indices, uint8, on the device.

        Args:
            chosen: the indices of each batch, int64, on `index_device`.
        """
        if self.resident:
            for indices in chosen:
                yield self._images[indices]
        else:
            yield from prefetched(self._images.__getitem__, chosen, self.device)


def fits_on(device: torch.device, size: int, *, budget: int | None = None) -> bool:
    """Return whether so many bytes of images may be kept in a device's memory.

    Args:
        device: a GPU; on a CPU images are kept where they are.
        size: in bytes.
        budget: bytes that may be used; by default half of the GPU's free memory.
    """
    if device.type != "cuda":
        return True
    if budget is None:
        budget = int(RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0])
    return size <= budget


def prefetched(
    gather: Callable[[Tensor], Tensor], chosen: Sequence[Tensor], device: torch.device
) -> Iterator[Tensor]:
    """Yield a batch for each tensor of indices, on a device; a thread gathers the next ones.

    Args:
        gather: returns the images of indices, on the CPU.
        chosen: the indices of each batch.
        device: of the batches.
    """

    def gather_pinned(indices: Tensor) -> Tensor:
        batch = gather(indices)
        return batch.pin_memory() if device.type == "cuda" else batch

    def send(batch: Future[Tensor]) -> Tensor:
        return batch.result().to(device, non_blocking=True)

    waiting: deque[Future[Tensor]] = deque()
    with ThreadPoolExecutor(1, "batch-loader") as gatherer:
        try:
            for indices in chosen:
                waiting.append(gatherer.submit(gather_pinned, indices))
                if len(waiting) > PREFETCH:
                    yield send(waiting.popleft())
            while waiting:
                yield send(waiting.popleft())
        finally:
            gatherer.shutdown(wait=True, cancel_futures=True)
