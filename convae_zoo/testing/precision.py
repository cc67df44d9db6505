"""Properties of layout and precision: channels_last and bfloat16 within stated tolerances."""

import torch

from convae_zoo.testing.configs import small_case
from convae_zoo.testing.entry import Entry, run
from convae_zoo.testing.tolerances import BF16, SAME, difference


def channels_last(entry: Entry) -> None:
    """In channels_last the output is the same to `SAME`."""
    case = small_case(entry)
    module, x = case.build(), case.inputs()
    expected = run(module, x)
    module = module.to(memory_format=torch.channels_last)
    if x.ndim == 4:  # noqa: PLR2004 - N×C×H×W
        x = x.contiguous(memory_format=torch.channels_last)
    if (far := difference(run(module, x), expected)) > SAME:
        raise case.failure(f"channels_last changes the output by {far:.1g}, more than {SAME}", 2)


def bf16(entry: Entry) -> None:
    """Under bfloat16 autocast the output is the same to `BF16`."""
    case = small_case(entry)
    module, x = case.build(), case.inputs()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = run(module, x)
    if not (far := difference(output, run(module, x))) <= BF16:
        raise case.failure(f"bf16 autocast changes the output by {far:.1g}, more than {BF16}", 2)
