"""A weights file as a JSON document, like that of registered weights; imports torch when called."""

from pathlib import Path
from typing import Any

from convae_zoo.cli.entries import describe_parts


def describe_file(path: str) -> dict[str, Any]:
    """Describe a weights file from its metadata, without building the model.

    Args:
        path: the file, or a run folder.

    Raises:
        WeightsError: it is missing or damaged, or does not describe a model.
    """
    from convae_zoo.models.plan import label_of
    from convae_zoo.registry.specs import DEFAULT_FILENAME
    from convae_zoo.weights.download.cache import digest
    from convae_zoo.weights.load import read_metadata, stored_model

    metadata = read_metadata(path)
    file = Path(path) / DEFAULT_FILENAME if Path(path).is_dir() else Path(path)
    parts = describe_parts(stored_model(metadata, str(file)))
    made_by = {str(d["part"]): d for d in metadata["distributions"]}
    for role in ("encoder", "decoder"):  # as they were when the file was written
        parts[role] |= {key: made_by[role][key] for key in ("plugin", "distribution", "version")}
    dataset, extra = _mapping(metadata["dataset"]), _mapping(metadata["extra"])
    storage = {"dtype": metadata["dtype"], "bytes": file.stat().st_size}
    model = label_of(metadata["model"])
    trained_on = dataset.get("expression") or dataset.get("name")
    return {
        "kind": "weights",
        "name": path,
        "summary": f"{model} trained on {trained_on}" if trained_on else model,
        "model": model,
        **parts,
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


def _mapping(value: object) -> dict[str, Any]:
    """Return a value of a file's metadata if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}
