"""Properties of a module's output: shapes, dtypes, finite values, gradients, terms."""

from typing import Any

import torch
from torch import Tensor, nn

from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.registry.specs import shape_text
from convae_zoo.testing.configs import (
    at_drawn,
    at_small,
    cases,
    for_examples,
    guarded,
    sized_cases,
)
from convae_zoo.testing.entry import Case, Entry, run
from convae_zoo.testing.result import Skip

SEEDS = (0, 1, 2)
STEPS = 3


def forward(entry: Entry) -> None:
    """The output is float32, finite, one per input, and of the declared shape."""
    guarded(_check_forward, Case(entry))
    for_examples(cases(entry), _check_forward, entry.examples)


def image_sizes(entry: Entry) -> None:
    """Every legal image size works, odd ones too."""
    drawn = sized_cases(entry)
    if drawn is None:
        raise Skip("no config field sets the image size")
    for_examples(drawn, _check_forward, entry.examples)


def _check_forward(case: Case) -> None:
    count = 2
    output = run(case.build(), case.inputs(count))
    if not isinstance(output, Tensor):
        raise case.failure(f"forward returns {type(output).__name__}, not a tensor", count)
    if output.dtype != torch.float32:
        raise case.failure(f"float32 in gives {output.dtype} out", count)
    if len(output) != count:
        raise case.failure(f"{count} inputs give {len(output)} outputs", count)
    if case.entry.kind != "encoder" and tuple(output.shape[1:]) != case.output_shape:
        raise case.failure(
            f"the images are {shape_text(output.shape[1:])} but "
            f"{shape_text(case.output_shape)} is declared",
            count,
        )
    if not output.isfinite().all():
        raise case.failure("the output holds NaN or infinity", count)


@at_drawn
def latent(case: Case) -> None:
    """The latent that an encoder returns, or a decoder accepts, has the declared shape."""
    module, x = case.build(), case.inputs(2)
    if case.entry.kind == "decoder":
        try:
            run(module, x)
        except Exception as error:
            raise case.failure(
                f"the declared latent {shape_text(case.input_shape)} is not taken: {error}", 2
            ) from error
        return
    declared = case.output_shape if case.entry.kind == "encoder" else case.config.latent_shape
    with torch.no_grad():
        output = module.encode(x) if isinstance(module, Autoencoder) else module(x)
    if tuple(output.shape[1:]) != tuple(declared):
        raise case.failure(
            f"the latent is {shape_text(output.shape[1:])} but {shape_text(declared)} is declared",
            2,
        )


@at_small
def gradients(case: Case) -> None:
    """Each parameter receives finite gradients, and a nonzero one within a few steps.

    In a network whose last layer starts at zero the first layers receive theirs after a step; a
    layer that is dead by chance is alive from another seed.
    """
    trained = {n for n, p in case.build().named_parameters() if p.requires_grad}
    if not trained:
        raise Skip("no parameter is trained")
    for seed in SEEDS:
        trained -= _reached(case, trained, seed)
        if not trained:
            return
    raise case.failure(f"no gradient reaches {_listed(trained)}", 4)


def _reached(case: Case, wanted: set[str], seed: int) -> set[str]:
    """Take a few steps; return the parameters that received a gradient other than zero."""
    module = case.build(seed).train()
    optimizer = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], lr=1e-3)
    x = case.inputs(4, seed)
    reached: set[str] = set()
    for step in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        output, terms = with_terms(module, x)
        target = torch.randn(output.shape, generator=torch.Generator().manual_seed(seed + step))
        loss = sum(terms.values(), (output - target).square().mean())
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        for name, parameter in module.named_parameters():
            gradient = parameter.grad
            if gradient is not None and not gradient.isfinite().all():
                raise case.failure(f"the gradient of {name} holds NaN or infinity", 4)
            if gradient is not None and bool(gradient.any()):
                reached.add(name)
        if wanted <= reached:
            break
        optimizer.step()
    return reached


@at_small
def terms(case: Case) -> None:
    """The terms that a part adds are finite scalars, and its output keeps its shape."""
    module = case.build().train()
    added: dict[str, Any]
    output, added = with_terms(module, case.inputs())
    if not added:
        raise Skip("it adds no terms")
    if tuple(output.shape[1:]) != case.output_shape:
        raise case.failure(f"forward_with_terms gives {shape_text(output.shape[1:])}", 2)
    for name, term in added.items():
        if not isinstance(term, Tensor) or term.shape != () or not term.isfinite():
            shown = tuple(term.shape) if isinstance(term, Tensor) and term.shape else term
            raise case.failure(f"term {name!r} must be a finite scalar tensor, got {shown}", 2)


def with_terms(module: nn.Module, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a module; return its output and the terms that it adds."""
    method = getattr(module, "forward_with_terms", None)
    return (module(x), {}) if method is None else method(x)


def _listed(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown  # noqa: PLR2004 - a line's worth
