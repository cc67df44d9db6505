"""A detector run over many image files: scores as CSV, a heatmap per image."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from torch import Tensor

from convae_zoo import files
from convae_zoo.errors import InputError, UsageError
from convae_zoo.runtime.modes import BATCH_SIZE
from convae_zoo.tasks.compress.pictures import mark_of, picture_paths, write_picture
from convae_zoo.tasks.detect import conformal
from convae_zoo.tasks.detect.detector import AnomalyDetector
from convae_zoo.tasks.detect.fitted import Scored
from convae_zoo.visuals.heatmap import draw_heatmap

SCORES = "scores.csv"
_HEAD = ("image", "score", "p_value", "anomalous")
_MARK = "heatmap"


@attrs.frozen(kw_only=True)
class Finding:
    """What a detector found of one image.

    Attributes:
        name: the image's.
        score: higher is more anomalous.
        p_value: the share of normal images with such a score.
        anomalous: whether the score is above the threshold.
    """

    name: str
    score: float
    p_value: float
    anomalous: bool


@attrs.frozen(kw_only=True)
class Findings:
    """The result of `run_detector`.

    Attributes:
        alarm_rate: the share of normal images that may be flagged.
        threshold: the score above which an image is flagged.
        findings: one per image that could be scored.
        skipped: files that could not, each with the reason.
    """

    alarm_rate: float
    threshold: float
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return attrs.asdict(self)


def run_detector(
    detector: AnomalyDetector,
    images: Sequence[tuple[str, Path]],
    out: Path | None,
    *,
    heatmaps: bool = True,
    overwrite: bool = False,
    progress: Callable[[int], object] = lambda _: None,
) -> Findings:
    """Score image files; write ``scores.csv`` and a heatmap per image.

    Memory is bounded for any number of images. Files of an earlier run are replaced.

    Args:
        detector: fitted.
        images: each image's name and path.
        out: the folder; None to write nothing.
        heatmaps: write heatmaps, if the detector gives maps.
        overwrite: replace files of another origin.
        progress: called with the number of images just finished.

    Raises:
        UsageError: files of another origin are in the place of those to write.
        FileError: a file cannot be written; finished heatmaps are kept.
    """
    threshold, map_threshold = detector.threshold_, detector.map_threshold_
    held_out, level = detector.calibration_scores_, detector.calibration_.level
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a folder for the heatmaps")
    paths: dict[str, Path] = {}
    if out is not None:
        if heatmaps and map_threshold is not None:
            names = [name for name, _ in images]
            paths = dict(zip(names, picture_paths(names, out), strict=True))
        if not overwrite:
            _check_free([*paths.values()], out / SCORES)
    findings, skipped = [], []
    for name, outcome in _scored(detector, images, progress):
        if isinstance(outcome, str):
            skipped.append(outcome)
            continue
        picture, scored = outcome
        if name in paths and scored.map is not None and map_threshold is not None:
            heatmap = draw_heatmap(picture, scored.map, level, map_threshold)
            write_picture(heatmap, paths[name], _MARK)
        findings.append(
            Finding(
                name=name,
                score=scored.score,
                p_value=float(conformal.p_values(held_out, np.array([scored.score]))[0]),
                anomalous=scored.score > threshold,
            )
        )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        files.write_text(out / SCORES, _csv(findings))
    return Findings(
        alarm_rate=float(detector.alarm_rate),
        threshold=threshold,
        findings=tuple(findings),
        skipped=tuple(skipped),
    )


def _scored(
    detector: AnomalyDetector,
    images: Sequence[tuple[str, Path]],
    progress: Callable[[int], object],
) -> Iterator[tuple[str, tuple[Tensor, Scored] | str]]:
    """Yield each image's name, with its picture and result, or with why it cannot be scored."""
    layout = detector.scorer_.layout
    size = 1 if layout.picture_size is None else BATCH_SIZE
    reader = detector.intake_.pictures(detector, [path for _, path in images])
    for start in range(0, len(images), size):
        read: list[tuple[str, Tensor]] = []
        part = range(start, min(start + size, len(images)))
        for index in part:
            name = images[index][0]
            try:
                picture = reader[index]
                layout.check(picture, reader.name(index))
            except InputError as error:
                yield name, str(error)
            else:
                read.append((name, picture))
        scored = detector.scored([picture for _, picture in read]) if read else ()
        for (name, picture), each in zip(read, scored, strict=True):
            yield name, (picture, each)
        progress(len(part))


def _check_free(heatmaps: Sequence[Path], scores: Path) -> None:
    """Check that only files of an earlier run are in the place of those to write.

    Raises:
        UsageError: there are others.
    """
    others = [path for path in heatmaps if path.exists() and mark_of(path) != _MARK]
    if scores.exists() and not _is_ours(scores):
        others.append(scores)
    if others:
        more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
        raise UsageError(
            f"{others[0]}{more} already exist and were not written by detect; choose another "
            "--out, or pass --overwrite"
        )


def _is_ours(scores: Path) -> bool:
    try:
        with scores.open(encoding="utf-8") as file:
            return file.readline().strip() == ",".join(_HEAD)
    except (OSError, UnicodeDecodeError):
        return False


def _csv(findings: Sequence[Finding]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEAD)
    for each in findings:
        writer.writerow((each.name, repr(each.score), repr(each.p_value), int(each.anomalous)))
    return text.getvalue()
