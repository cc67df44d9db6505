"""A model in a notebook: what it is, and its layers on request."""

import html

from torch import nn

from convae_zoo.models.plan import Plan
from convae_zoo.registry.specs import shape_text


def model_html(plan: Plan, model: nn.Module) -> str:
    """Return a model's name, shapes, size and parts as a table, its layers folded below it."""
    parts = [
        f"{spec.name} ({spec.provenance.distribution} {spec.provenance.version})"
        if spec.provenance
        else spec.name
        for spec in (plan.encoder, plan.decoder)
    ]
    rows = {
        "images": f"{shape_text(plan.image_shape)}, in {list(plan.value_range)}",
        "latent": shape_text(plan.latent_shape),
        "encoder": parts[0],
        "decoder": parts[1],
        "parameters": f"{sum(p.numel() for p in model.parameters()):,}",
    }
    body = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    return (
        f"<table><caption>{html.escape(plan.label)}</caption>{body}</table>"
        f"<details><summary>layers</summary><pre>{html.escape(repr(model))}</pre></details>"
    )
