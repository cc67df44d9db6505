"""Chains in place of the layers of a model's ``nn.Sequential``s, while it is trained."""

import contextlib
import itertools
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from convae_zoo.layers.chain import Chain
from convae_zoo.layers.link import Link, create_link, links_work


class ChainedSequences:
    """Runs the layers of a model's ``nn.Sequential``s in chains for a while.

    A chain has at least one layer with a ReLU after it. Other modules run as they are, and so does
    a sequence with a hook in it or without autocast to bfloat16, under `torch.func`, and while it
    is traced or compiled. A chain's ReLU turns NaN into 0.

    Args:
        model: on a CPU, in channels_last.
    """

    def __init__(self, model: nn.Module) -> None:
        found = [m for m in model.modules() if type(m) is nn.Sequential] if links_work() else []
        sequences = [(sequence, _Sequence(sequence)) for sequence in found]
        self._sequences = [(s, own) for s, own in sequences if own.has_chain]

    @contextlib.contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Let the chains compute for a while."""
        # A forward pass of someone else's in the same place stays.
        plain = [(s, own) for s, own in self._sequences if "forward" not in vars(s)]
        for sequence, own in plain:
            vars(sequence)["forward"] = own
        try:
            yield
        finally:
            for sequence, _ in plain:
                del vars(sequence)["forward"]


class _Sequence:
    """The forward pass of a sequence, in chains."""

    def __init__(self, sequence: nn.Sequential) -> None:
        self._sequence = sequence
        self._modules = list(sequence)
        self._steps = list(_steps(self._modules))
        self.has_chain = any(isinstance(step, Chain) for step in self._steps)

    def __call__(self, input: Tensor) -> Tensor:  # noqa: A002 - as PyTorch names it
        """Map a batch as the sequence does."""
        x = input
        for step in self._steps if self._is_chained() else self._sequence:
            x = step(x)
        return x

    def _is_chained(self) -> bool:
        return (
            torch.is_autocast_enabled("cpu")
            and torch.get_autocast_dtype("cpu") == torch.bfloat16
            and bool(torch.backends.mkldnn.enabled)
            and not torch.compiler.is_compiling()
            and not torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]  # torch leaves it untyped
            and not torch._C._are_functorch_transforms_active()  # noqa: SLF001 - there is no public way to ask
            and self._modules == list(self._sequence)
            and not torch_module._has_any_global_hook()  # type: ignore[no-untyped-call]  # noqa: SLF001 - the same; torch leaves it untyped
            and not any(map(_has_hooks, self._modules))
        )


def _has_hooks(module: nn.Module) -> bool:
    """Return whether a module's hooks would be left out in a chain, as `nn.Module` asks it."""
    return bool(
        module._forward_hooks  # noqa: SLF001 - there is no public way to ask
        or module._forward_pre_hooks  # noqa: SLF001 - the same
        or module._backward_hooks  # noqa: SLF001 - the same
        or module._backward_pre_hooks  # noqa: SLF001 - the same
    )


def _steps(modules: list[nn.Module]) -> Iterator[nn.Module | Chain]:
    """Yield chains, and the modules between them."""
    links: list[tuple[Link, list[nn.Module]]] = []
    rest = list(modules)
    while rest:
        relu = type(rest[1]) is nn.ReLU if len(rest) > 1 else False
        link = create_link(rest[0], relu=relu)
        taken, rest = rest[: 1 + relu], rest[1 + relu :]
        if link is not None:
            links.append((link, taken))
            continue
        yield from _joined(links)
        links = []
        yield taken[0]
        rest = [*taken[1:], *rest]
    yield from _joined(links)


def _joined(links: list[tuple[Link, list[nn.Module]]]) -> Iterator[nn.Module | Chain]:
    """Join links in a row to a chain; without a ReLU among them they stay modules."""
    modules = list(itertools.chain.from_iterable(taken for _, taken in links))
    if any(link.relu for link, _ in links):
        yield Chain([link for link, _ in links], modules)
    else:
        yield from modules
