"""Properties of repetition: seeds, batches, state dicts, files, other processes."""

import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from convae_zoo.testing.configs import at_drawn, at_small
from convae_zoo.testing.entry import Case, run
from convae_zoo.testing.other_process import other_process
from convae_zoo.testing.tolerances import SAME
from convae_zoo.weights.save import save_model

MANY = 5


@at_drawn
def seed(case: Case) -> None:
    """Equal seeds give equal weights and outputs, and eval mode is deterministic."""
    first, second, x = case.build(7), case.build(7), case.inputs()
    output = run(first, x)
    if not torch.equal(output, run(second, x)):
        raise case.failure("two builds from one seed give different outputs", 2)
    if not torch.equal(output, run(first, x)):
        raise case.failure("eval mode gives a different output the second time", 2)


@at_drawn
def batch(case: Case) -> None:
    """An image's result does not depend on the others of its batch (eval mode)."""
    module, x = case.build(), case.inputs(MANY)
    together = run(module, x)
    alone = torch.cat([run(module, one[None]) for one in x])
    case.check_near(together, alone, SAME, "a batch and its images one by one differ")


@at_drawn
def state_dict(case: Case) -> None:
    """A state dict restores the module from any other seed, bit for bit."""
    module, other, x = case.build(0), case.build(1), case.inputs()
    other.load_state_dict(module.state_dict(), strict=True)
    if not torch.equal(run(module, x), run(other, x)):
        raise case.failure("the state dict does not hold all that the output depends on", 2)


@at_small
def weights_file(case: Case) -> None:
    """Loaded from a safetensors file in another process it is the same, bit for bit."""
    module, x = case.build(), case.inputs()
    with tempfile.TemporaryDirectory(prefix="convae-zoo-") as folder:
        weights, inputs, outputs = (Path(folder) / f"{n}.safetensors" for n in ("w", "x", "y"))
        save_file({"x": x}, inputs)
        if case.entry.kind == "model":
            save_model(module, weights)
        else:
            save_file({k: v.contiguous() for k, v in module.state_dict().items()}, weights)
        other_process().run(
            kind=case.entry.kind,
            name=case.entry.name,
            values=case.json_values,
            weights=str(weights),
            inputs=str(inputs),
            outputs=str(outputs),
        )
        if not torch.equal(load_file(outputs)["y"], run(module, x)):
            raise case.failure("loaded in another process it gives a different output", 2)
