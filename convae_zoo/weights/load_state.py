"""Build a model and load stored tensors into it; what does not fit exactly is refused."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convae_zoo.errors import ConfigError, WeightsError, ZooError, reason
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.models.create import build_plan
from convae_zoo.models.loading import loading_state
from convae_zoo.models.plan import Plan
from convae_zoo.registry.specs import shape_text

_FLOAT32_BYTES = 4

_ROOM = 2**22
"""Values that a part may allocate while it is built, beside its tensors."""


def build_with_state(
    plan: Plan, tensors: Mapping[str, Tensor], source: str, *, hint: str = ""
) -> Autoencoder:
    """Build a model and copy a state dict into it.

    Floating-point tensors become what the model's parts build; all others must agree in dtype.

    Args:
        plan: what to build.
        tensors: the state dict.
        source: the file's name for errors.
        hint: added to the error if the architecture differs.

    Raises:
        WeightsError: a tensor is missing, unknown, or of another shape or dtype; it holds NaN or
            infinity; or the model cannot be built.
    """
    with loading_state():
        model = _build_within(plan, tensors) or _build_checked(plan, tensors, source, hint)
    wanted: dict[str, Tensor] = model.state_dict()
    _check(wanted, tensors, source, plan, hint)
    # Copied, not assigned: tied weights stay tied, and each part keeps its own dtype.
    model.load_state_dict(tensors)
    for name, value in wanted.items():
        if not is_finite(value):
            raise WeightsError(f"{source}: tensor {name!r} holds NaN or infinity; it is not loaded")
    return model


def is_finite(tensor: Tensor) -> bool:
    """Tell whether a tensor holds neither NaN nor infinity."""
    if tensor.numel() == 0 or not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    tensor = tensor.detach().cpu()
    values = (tensor.float() if tensor.itemsize < _FLOAT32_BYTES else tensor).numpy()
    # NaN comes through both. NumPy starts no threads, which would take longer than the work.
    return bool(np.isfinite(values.min()) and np.isfinite(values.max()))


class _TooLargeError(Exception):
    """A model that is being built asks for more memory than its stored tensors need."""


class _NoStartValues(TorchFunctionMode):
    """Leaves out the random and constant start values of parameters, which loading overwrites.

    Everything else, such as buffers, is computed as always.

    Args:
        most_values: how many values may be allocated in all; None for any number.
    """

    _SETTING: frozenset[Callable[..., Any]] = frozenset(
        {
            Tensor.uniform_,
            Tensor.normal_,
            Tensor.zero_,
            Tensor.fill_,
            nn.init.uniform_,
            nn.init.normal_,
            nn.init.kaiming_uniform_,
        }
    )
    _ALLOCATING: frozenset[Callable[..., Any]] = frozenset(
        {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}
    )

    def __init__(self, most_values: int | None = None) -> None:
        super().__init__()
        self._left = most_values

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func in self._SETTING:
            target = args[0] if args else given["tensor"]
            if isinstance(target, nn.Parameter):
                return target
        if func in self._ALLOCATING and self._left is not None:
            self._left -= _values(args, given)
            if self._left < 0:
                raise _TooLargeError
        return func(*args, **given)


def _values(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Return how many values a call of ``torch.empty`` or its like allocates."""
    size = args[0] if args else kwargs.get("size", ())
    sizes = size if isinstance(size, Sequence) else args
    return math.prod(n for n in sizes if isinstance(n, int))


def _build_within(plan: Plan, tensors: Mapping[str, Tensor]) -> Autoencoder | None:
    """Build a model in about the memory of its tensors; None if that fails, for any reason.

    Sizes come from the file: those that are not of its tensors must not fill the memory.
    """
    stored = sum(tensor.numel() for tensor in tensors.values())
    try:
        with _NoStartValues(2 * stored + _ROOM):
            return build_plan(plan)
    except Exception:  # noqa: BLE001 - `_build_checked` finds the reason
        return None


def _build_checked(
    plan: Plan, tensors: Mapping[str, Tensor], source: str, hint: str
) -> Autoencoder:
    """Build a model after its sizes are checked on the meta device.

    This is the slow way: many operations on the meta device import torch._dynamo, in a second.

    Raises:
        WeightsError: as `build_with_state` does.
    """
    sizes = _sizes(plan, source)
    if sizes is not None:
        _check(sizes, tensors, source, plan, hint)
    try:
        return build_plan(plan)
    except ConfigError as error:
        raise WeightsError(f"{source}: {error}") from error
    except ZooError:
        raise
    except Exception as error:
        raise _not_built(source, error) from error


def _sizes(plan: Plan, source: str) -> dict[str, Tensor] | None:
    """Make the state dict without memory behind it; None if a part cannot be built so."""
    try:
        with torch.device("meta"), _NoStartValues():
            sizes: dict[str, Tensor] = build_plan(plan).state_dict()
    except ConfigError as error:  # a size that no memory holds
        raise WeightsError(f"{source}: {error}") from error
    except Exception:  # noqa: BLE001 - a part that computes with its start values
        return None
    return sizes


def _not_built(source: str, error: Exception) -> WeightsError:
    return WeightsError(f"{source}: its model cannot be built: {reason(error)}")


def _check(
    wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor], source: str, plan: Plan, hint: str
) -> None:
    model = plan.label
    for name, mine in wanted.items():
        theirs = tensors.get(name)
        if theirs is None:
            raise WeightsError(f"{source} has no tensor {name!r}, which {model} has{hint}")
        if mine.shape != theirs.shape:
            raise WeightsError(
                f"{source} is of another architecture: tensor {name!r} is "
                f"{_shape(theirs)} there and {_shape(mine)} in {model}{hint}"
            )
        both_float = mine.is_floating_point() and theirs.is_floating_point()
        if mine.dtype != theirs.dtype and not both_float:
            raise WeightsError(
                f"{source} is of another architecture: tensor {name!r} is {theirs.dtype} there and "
                f"{mine.dtype} in {model}{hint}"
            )
    for name in tensors:
        if name not in wanted:
            raise WeightsError(f"{source} has a tensor {name!r}, which {model} lacks{hint}")


def _shape(tensor: Tensor) -> str:
    return shape_text(tuple(tensor.shape)) or "a scalar"
