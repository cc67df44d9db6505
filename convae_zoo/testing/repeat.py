"""Properties of repeating: seeds, batches, state dicts, files, other processes."""

import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from convae_zoo.testing.configs import cases, for_examples, small_case
from convae_zoo.testing.entry import Case, Entry, run
from convae_zoo.testing.other_process import other_process
from convae_zoo.testing.tolerances import SAME, difference
from convae_zoo.weights import load_model, save_model

MANY = 5


def seed(entry: Entry) -> None:
    """Equal seeds give equal weights and outputs, and eval mode repeats itself."""
    for_examples(cases(entry), _check_seed, entry.examples)


def _check_seed(case: Case) -> None:
    first, second, x = case.build(7), case.build(7), case.inputs()
    output = run(first, x)
    if not torch.equal(output, run(second, x)):
        raise case.failure("two builds from one seed give other outputs", 2)
    if not torch.equal(output, run(first, x)):
        raise case.failure("eval mode gives another output the second time", 2)


def batch(entry: Entry) -> None:
    """An image's result does not depend on the others of its batch (eval mode)."""
    for_examples(cases(entry), _check_batch, entry.examples)


def _check_batch(case: Case) -> None:
    module, x = case.build(), case.inputs(MANY)
    together = run(module, x)
    alone = torch.cat([run(module, one[None]) for one in x])
    if (far := difference(together, alone)) > SAME:
        raise case.failure(f"a batch and its images one by one differ by {far:.1g}", MANY)


def state_dict(entry: Entry) -> None:
    """A state dict carries the whole module to another that started elsewhere, bit for bit."""
    for_examples(cases(entry), _check_state_dict, entry.examples)


def _check_state_dict(case: Case) -> None:
    module, other, x = case.build(0), case.build(1), case.inputs()
    other.load_state_dict(module.state_dict(), strict=True)
    if not torch.equal(run(module, x), run(other, x)):
        raise case.failure("the state dict does not hold all that the output depends on", 2)


def weights_file(entry: Entry) -> None:
    """A safetensors file carries it into another process, bit for bit."""
    case = small_case(entry)
    module, x = case.build(), case.inputs()
    with tempfile.TemporaryDirectory(prefix="convae-zoo-") as folder:
        weights, inputs, outputs = (Path(folder) / f"{n}.safetensors" for n in ("w", "x", "y"))
        save_file({"x": x}, inputs)
        if entry.kind == "model":
            save_model(module, weights)
            if not torch.equal(run(load_model(weights), x), run(module, x)):
                raise case.failure("the saved model, loaded, gives another output", 2)
        else:
            save_file({k: v.contiguous() for k, v in module.state_dict().items()}, weights)
        other_process().run(
            kind=entry.kind,
            name=entry.name,
            values=case.json_values,
            weights=str(weights),
            inputs=str(inputs),
            outputs=str(outputs),
        )
        if not torch.equal(load_file(outputs)["y"], run(module, x)):
            raise case.failure("loaded in another process it gives another output", 2)
