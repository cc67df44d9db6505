"""A weights or detector file as a JSON document; imports torch when called."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convae_zoo.cli.entries import describe_parts


def describe_file(path: str) -> dict[str, Any]:
    """Describe a weights or detector file from its metadata, without building the model.

    Args:
        path: the file, or a run folder.

    Raises:
        WeightsError: it is missing or damaged, or describes no model and no detector.
    """
    from convae_zoo.models.plan import label_of
    from convae_zoo.registry.specs import DEFAULT_FILENAME
    from convae_zoo.weights.download.cache import digest
    from convae_zoo.weights.load import read_metadata

    metadata = read_metadata(path)
    file = Path(path) / DEFAULT_FILENAME if Path(path).is_dir() else Path(path)
    if "kind" in metadata:  # of a file that is more than a model
        return _describe_detector(path, file)
    dataset, extra = _mapping(metadata["dataset"]), _mapping(metadata["extra"])
    storage = {"dtype": metadata["dtype"], "bytes": file.stat().st_size}
    model = label_of(metadata["model"])
    trained_on = dataset.get("expression") or dataset.get("name")
    return {
        "kind": "weights",
        "name": path,
        "summary": f"{model} trained on {trained_on}" if trained_on else model,
        "model": model,
        **_parts(metadata, str(file)),
        "dataset": trained_on,
        "dataset_license": dataset.get("license"),
        "trained": True,
        "file": str(file),
        "sha256": digest(file),
        "versions": metadata["versions"],
        "recipe": metadata["recipe"],
        "metrics": _mapping(metadata["metrics"]),
        "license": metadata["license"],
        "card": {
            "dataset": dataset,
            "storage": _mapping(extra.get("storage")) | storage,
            "training": _mapping(extra.get("training")),
        },
    }


def _describe_detector(name: str, file: Path) -> dict[str, Any]:
    from convae_zoo.models.plan import label_of
    from convae_zoo.tasks.detect.file import describe
    from convae_zoo.weights.download.cache import digest

    found = describe(file)
    weights, model = found.pop("weights"), label_of(found["model"])
    return {
        "kind": "detector",
        "name": name,
        "summary": f"anomaly detector: {found['score']['name']} of {model}",
        **_parts(found, str(file)),
        **found,
        "model": weights or model,
        "file": str(file),
        "sha256": digest(file),
        "card": {"storage": {"dtype": "fp32", "bytes": file.stat().st_size}},
    }


def _parts(metadata: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Describe a model's parts, with the distributions that they had when the file was written."""
    from convae_zoo.weights.load import stored_model

    parts = describe_parts(stored_model(metadata, file))
    made_by = {str(d["part"]): d for d in metadata["distributions"]}
    for role in ("encoder", "decoder"):
        parts[role] |= {key: made_by[role][key] for key in ("plugin", "distribution", "version")}
    return parts


def _mapping(value: object) -> dict[str, Any]:
    """Return a value of a file's metadata if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}
