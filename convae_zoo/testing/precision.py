"""Properties of layout and precision: channels_last and bfloat16 within stated tolerances."""

import torch

from convae_zoo.testing.configs import at_small
from convae_zoo.testing.entry import Case, run
from convae_zoo.testing.tolerances import BF16, SAME


@at_small
def channels_last(case: Case) -> None:
    """In channels_last the output is the same to `SAME`."""
    module, x = case.build(), case.inputs()
    expected = run(module, x)
    module = module.to(memory_format=torch.channels_last)
    if x.ndim == 4:  # noqa: PLR2004 - N×C×H×W
        x = x.contiguous(memory_format=torch.channels_last)
    case.check_near(run(module, x), expected, SAME, "channels_last changes the output")


@at_small
def bf16(case: Case) -> None:
    """Under bfloat16 autocast the output is the same to `BF16`."""
    module, x = case.build(), case.inputs()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = run(module, x)
    case.check_near(output, run(module, x), BF16, "bf16 autocast changes the output")
