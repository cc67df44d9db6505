"""A fitted detector as an ONNX model: from pictures to scores and maps."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from convae_zoo import files
from convae_zoo.data import pixels
from convae_zoo.data.tiles import Tiles
from convae_zoo.errors import UsageError, ZooError
from convae_zoo.export import onnx
from convae_zoo.registry.specs import shape_text
from convae_zoo.tasks.detect import AnomalyDetector
from convae_zoo.tasks.detect.fitted import Scored, Scorer
from convae_zoo.tasks.estimators.layout import Layout
from convae_zoo.tasks.estimators.pictures import Pictures

TOLERANCE = 1e-4
"""Largest difference between a file and the detector, relative to the value or the threshold."""

_BATCHES = (1, 2, 5)


def export_detector(
    detector: AnomalyDetector, path: str | Path, *, size: tuple[int, int] | None = None
) -> float:
    """Write a detector as an ONNX file, for use without the zoo. The batch size stays free.

    The input is ``images``, uint8 N×C×H×W; the outputs are ``score``, float32 N, and, if the
    detector gives maps, ``map``, float32 N×H×W. The thresholds are metadata and no part of the
    graph: an image is anomalous if its score is above ``convae_zoo.threshold``.

    The file is run at several batch sizes and compared with the detector before it is put in place.

    Args:
        detector: fitted.
        path: the file to write.
        size: height and width of the pictures, for a detector that scores pictures by tiles.

    Returns:
        The largest difference between the file's outputs and the detector's, relative to the value
        or to the threshold, whichever is larger.

    Raises:
        UsageError: the size is missing, smaller than a tile, or given for a detector of whole
            pictures; or the packages for ONNX are not installed.
        FileError: the file cannot be written.
        ZooError: the score cannot be exported, or the exported file gives other results.
    """
    onnx.require_onnx()
    scorer = detector.scorer_.on_cpu()
    layout = scorer.layout
    shape = (layout.channels, *_size(layout, size))
    names = ("score", "map") if scorer.gives_map else ("score",)
    with files.atomic_path(path) as temporary, torch.no_grad():
        graph = _Graph(scorer, shape[1:]).eval()
        program = onnx.to_onnx(graph, _example(shape, 2), "images", *names)
        program.model.metadata_props.update(_metadata(detector, shape))
        program.save(temporary)
        return _checked(detector, scorer, onnx.onnx_session(temporary), shape)


def _size(layout: Layout, size: tuple[int, int] | None) -> tuple[int, int]:
    """Return the size of the pictures that a file takes."""
    if layout.picture_size is not None:
        if size not in {None, layout.picture_size}:
            raise UsageError(
                f"the detector takes pictures of {shape_text(layout.picture_size)} alone; leave "
                "out size (--size)"
            )
        return layout.picture_size
    tile = layout.image_shape[1:]
    if size is None:
        raise UsageError("the detector scores by tiles; pass the pictures' size (--size HxW)")
    if size[0] < tile[0] or size[1] < tile[1]:
        raise UsageError(f"size {shape_text(size)} is smaller than a tile of {shape_text(tile)}")
    return size


class _Graph(nn.Module):
    """Maps pictures, uint8 N×C×H×W of one size, to their scores and maps.

    Tiles are cut and blended as `convae_zoo.data.tiles.map_tiles` does, with matrices: the weights
    of a tile's pixels are a product of those of its rows and of its columns.
    """

    rows: Tensor
    columns: Tensor
    vertical: Tensor
    horizontal: Tensor

    def __init__(self, scorer: Scorer, size: tuple[int, int]) -> None:
        super().__init__()
        self.layout, self.score = scorer.layout, scorer.score.score
        self.model = scorer.model
        if self.layout.picture_size is None:
            sides = zip(size, self.layout.image_shape[1:], strict=True)
            down, across = (Tiles(side, tile, self.layout.overlap) for side, tile in sides)
            self.grid = len(down.starts), len(across.starts)
            for name, weights, tiles in (
                ("rows", "vertical", down),
                ("columns", "horizontal", across),
            ):
                indices = torch.cat([tiles.indices(start) for start in tiles.starts])
                placed = torch.zeros(len(indices), tiles.length)
                placed[torch.arange(len(indices)), indices] = torch.cat(tiles.weights())
                self.register_buffer(name, indices)
                self.register_buffer(weights, placed)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return scores N and, if there are any, maps N×H×W."""
        coloured = pixels.fit_channels(images, self.layout.image_shape[0])
        if self.layout.picture_size is not None:
            scores, maps = self.score(self.layout.padded(coloured), self.model)
            return (scores,) if maps is None else (scores, self.layout.cropped(maps))
        channels, height, width = self.layout.image_shape
        down, across = self.grid
        cut = coloured[:, :, self.rows][:, :, :, self.columns]
        tiles = cut.reshape(-1, channels, down, height, across, width).permute(0, 2, 4, 1, 3, 5)
        scores, maps = self.score(tiles.reshape(-1, channels, height, width), self.model)
        if maps is None:
            maps = scores[:, None, None].expand(-1, height, width)
        sheet = maps.reshape(-1, down, across, height, width).permute(0, 1, 3, 2, 4)
        sheet = sheet.reshape(-1, down * height, across * width)
        blended = self.vertical.T @ sheet @ self.horizontal
        return scores.reshape(-1, down * across).amax(dim=1), blended


def _metadata(detector: AnomalyDetector, shape: tuple[int, ...]) -> dict[str, str]:
    described = detector.scorer_.score.describe()
    return {
        "convae_zoo.kind": "detector",
        "convae_zoo.model": detector.model_.name,
        "convae_zoo.score": json.dumps({key: described[key] for key in ("name", "config")}),
        "convae_zoo.image_shape": json.dumps(shape),
        "convae_zoo.alarm_rate": repr(float(detector.alarm_rate)),
        "convae_zoo.threshold": repr(detector.threshold_),
        "convae_zoo.map_threshold": json.dumps(detector.map_threshold_),
        "convae_zoo.held_out": str(detector.n_calibration_),
    }


def _example(shape: tuple[int, ...], count: int) -> Tensor:
    """Make pictures of a batch size, random and always the same, uint8."""
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, *shape), generator=generator).to(torch.uint8)


def _checked(
    detector: AnomalyDetector,
    scorer: Scorer,
    session: "onnxruntime.InferenceSession",
    shape: tuple[int, ...],
) -> float:
    """Compare a file's outputs with the detector's; return the largest relative difference."""
    farthest = 0.0
    for count in _BATCHES:
        pictures = _example(shape, count)
        outputs = session.run(None, {"images": pictures.numpy()})
        for found, wanted, scale in _pairs(detector, outputs, list(scorer(Pictures(pictures)))):
            if found.shape != wanted.shape:
                raise ZooError(
                    f"the exported detector gives {found.shape} instead of {wanted.shape}; nothing "
                    "was written"
                )
            far = float((np.abs(found - wanted) / np.maximum(np.abs(wanted), scale)).max())
            if not far <= TOLERANCE:
                raise ZooError(
                    f"the exported detector differs from the detector by {far:.2g} at batch "
                    f"{count}; nothing was written"
                )
            farthest = max(farthest, far)
    return farthest


def _pairs(
    detector: AnomalyDetector, outputs: list[np.ndarray], expected: list[Scored]
) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Yield each output with what is expected and with the threshold, as a scale."""
    scores = np.array([each.score for each in expected], dtype=np.float32)
    yield outputs[0], scores, abs(detector.threshold_)
    if detector.map_threshold_ is not None:
        maps = np.stack([each.map.numpy() for each in expected if each.map is not None])
        yield outputs[1], maps, abs(detector.map_threshold_)
