"""The model card of a repository on the Hub: its README.md, written from the weights file."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

_LICENSES = {"apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0"}


def model_card(metadata: Mapping[str, Any], repo: str, sha256: str) -> str:
    """Write the card as Markdown, with the Hub's YAML in front.

    Args:
        metadata: as `convae_zoo.weights.read_metadata` returns it.
        repo: the repository, ``org/name``.
        sha256: of the weights file.
    """
    from huggingface_hub import ModelCardData

    model, dataset = metadata["model"], metadata["dataset"] or {}
    stated = str(metadata["license"] or "")
    known = stated.lower() in _LICENSES
    data = ModelCardData(
        license=stated.lower() if known else ("other" if stated else None),
        license_name=stated if stated and not known else None,
        library_name="convae_zoo",
        tags=["autoencoder", "convae_zoo"],
    )
    facts = {
        "model": model["name"] or "composed",
        "encoder": _part(model["encoder"]),
        "decoder": _part(model["decoder"]),
        "value range": json.dumps(model["value_range"]),
        "stored as": metadata["dtype"],
        "data": " ".join(f"{k} {v}" for k, v in dataset.items()) or "not stated",
        "recipe": _listed(metadata["recipe"] or {}) or "not stated",
        "license": stated or "not stated",
        "sha256": f"`{sha256}`",
    }
    made_with = [f"{d['distribution']} {d['version']}" for d in metadata["distributions"]]
    lines = [
        "---",
        data.to_yaml(),
        "---",
        "",
        f"# {facts['model']}",
        "",
        "A convolutional autoencoder for convae_zoo.",
        "",
        "```sh",
        f"pip install {' '.join(sorted({d['distribution'] for d in metadata['distributions']}))}",
        f"convae-zoo pull {repo} --out model.safetensors",
        "```",
        "",
        "```python",
        "import convae_zoo as zoo",
        "",
        'model = zoo.load_model("model.safetensors")',
        "```",
        "",
        *_table("", "", facts | {"made with": ", ".join(dict.fromkeys(made_with))}),
        "",
    ]
    figures = dict(_figures(metadata["metrics"] or {}))
    if figures:
        lines += ["## Metrics", "", *_table("metric", "value", figures), ""]
    return "\n".join(lines)


def _part(part: Mapping[str, Any]) -> str:
    return f"{part['name']} ({_listed(part['config'])})"


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items() if value is not None)


def _table(left: str, right: str, rows: Mapping[str, object]) -> Iterator[str]:
    yield f"| {left} | {right} |"
    yield "|---|---|"
    for name, value in rows.items():
        yield f"| {name} | {' '.join(str(value).replace('|', '/').split())} |"


def _figures(metrics: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, object]]:
    """Yield the figures of nested metrics, each with its whole name."""
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from _figures(value, f"{above}{name} ")
        else:
            yield f"{above}{name}", f"{value:.5g}" if isinstance(value, float) else value
