"""A part of a model as a graph of functions of tensors, and what its nodes compute."""

import operator
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn
from torch.fx.graph import inplace_methods
from torch.nn import functional

from convae_zoo.layers.packing import RELU, Activation, Layer

_PARAMETERS: dict[Any, tuple[Literal["linear", "convolution", "transposed"], tuple[str, ...]]] = {
    functional.linear: ("linear", ()),
    functional.conv2d: ("convolution", ("stride", "padding", "dilation", "groups")),
    functional.conv_transpose2d: (
        "transposed",
        ("stride", "padding", "output_padding", "groups", "dilation"),
    ),
}
"""Functions with weights, and their parameters after the bias."""

_SILU, _SIGMOID, _TANH = (Activation(name) for name in ("swish", "sigmoid", "tanh"))
_ACTIVATIONS: dict[Any, Activation] = {
    functional.relu: RELU,
    torch.relu: RELU,
    "relu": RELU,
    "relu_": RELU,
    functional.silu: _SILU,
    torch.sigmoid: _SIGMOID,
    "sigmoid": _SIGMOID,
    torch.tanh: _TANH,
    "tanh": _TANH,
}
_DROPOUTS = {functional.dropout, functional.dropout2d}
_ADDITIONS = {operator.add, operator.iadd, torch.add}


class _Proxy(fx.Proxy):
    """A proxy that records ``y -= x`` as it is; fx's own would record ``y = y - x``."""


def _recorded(function: Callable[..., Any]) -> Callable[[fx.Proxy, Any], fx.Proxy]:
    def record(self: fx.Proxy, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", function, (self, other), {})

    return record


for _name in inplace_methods.keys() - {"setitem"}:
    setattr(_Proxy, f"__{_name}__", _recorded(getattr(operator, _name)))


class _Tracer(fx.Tracer):
    def proxy(self, node: fx.Node) -> fx.Proxy:
        """Return a proxy of a node."""
        return _Proxy(node, self)

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Let a module find the number of dimensions that it expects; nothing else is known."""
        n = obj.node
        asks = n.args[0] if n.target is operator.ne else None
        if isinstance(asks, fx.Node) and asks.target == "dim":
            return False
        return super().to_bool(obj)


def trace(part: nn.Module, *, takes_sigma: bool = False) -> fx.GraphModule | None:
    """Trace a part in eval mode; None if it has hooks, or if its calls depend on values.

    Unlike `torch.fx.symbolic_trace` it patches nothing that other threads use while it runs.
    Modules are traced into, down to functions of tensors. A part that stores a tensor in itself
    stores a proxy.

    Args:
        part: maps a batch to a tensor.
        takes_sigma: whether it is called with a second argument.
    """
    if any(m._forward_hooks or m._forward_pre_hooks for m in part.modules()):  # noqa: SLF001 - no public way
        return None
    tracer = _Tracer()
    tracer.root, tracer.graph, tracer.tensor_attrs = part, fx.Graph(), {}
    names = ["x", "sigma"] if takes_sigma else ["x"]
    try:
        output = part(*(tracer.create_proxy("placeholder", name, (), {}) for name in names))
        tracer.graph.output(tracer.create_arg(output))
    except Exception:  # noqa: BLE001 - a plugin's own code runs, with values that it does not expect
        return None
    for node in list(tracer.graph.nodes):
        if node.target in _DROPOUTS and node.kwargs.get("training") is False:
            node.replace_all_uses_with(node.args[0])
    tracer.graph.eliminate_dead_code(_may_change_its_input)
    return fx.GraphModule(part, tracer.graph)


def layer_of(n: fx.Node, root: nn.Module) -> Layer | None:
    """Return the layer that a node computes, if its weights are the part's own."""
    if n.target not in _PARAMETERS:
        return None
    kind, names = _PARAMETERS[n.target]
    given = {**dict(zip(("input", "weight", "bias", *names), n.args, strict=False)), **n.kwargs}
    weight, bias = (_constant(given.pop(name, None), root) for name in ("weight", "bias"))
    groups = given.pop("groups", 1)
    pairs = {name: _pair(given[name]) for name in names if name in given}
    if weight is None or weight.ndim not in {2, 4} or weight.device.type != "cpu":
        return None
    if n.args[:1] != (given["input"],) or not isinstance(groups, int) or None in pairs.values():
        return None
    if bias is None and any(isinstance(a, fx.Node) for a in n.args[2:]):
        return None
    return Layer(kind=kind, weight=weight, bias=bias, groups=groups, **pairs)  # type: ignore[arg-type]  # none of them is None


def activation_of(n: fx.Node) -> Activation | None:
    """Return the activation that a node computes, if oneDNN can compute it after a layer."""
    if n.target is functional.leaky_relu:
        slope = n.args[1] if len(n.args) > 1 else n.kwargs.get("negative_slope", 0.01)
        return Activation("leaky_relu", (float(slope),))  # type: ignore[arg-type]  # it is a number
    if n.target is functional.gelu:
        return Activation("gelu", formula=str(n.kwargs.get("approximate", "none")))
    return _ACTIVATIONS.get(n.target) if len(n.args) == 1 else None


def factor_of(n: fx.Node) -> float | None:
    """Return the number by which a node multiplies its first argument."""
    is_product = n.target is operator.mul and len(n.args) == 2  # noqa: PLR2004 - a product of two
    return n.args[1] if is_product and isinstance(n.args[1], float) else None


def other_summand(n: fx.Node, one: fx.Node) -> fx.Node | None:
    """Return what a node adds to another node's value."""
    if n.target not in _ADDITIONS or n.kwargs or len(n.args) != 2:  # noqa: PLR2004 - a sum of two
        return None
    if n.target is operator.iadd and n.args[0] is not one:
        return None  # it changes the other one
    others = [a for a in n.args if isinstance(a, fx.Node) and a is not one]
    return others[0] if len(others) == 1 else None


def is_flatten(n: fx.Node) -> bool:
    """Return whether a node makes a vector of each image."""
    is_named = n.target == "flatten" or n.target is torch.flatten
    return is_named and n.args[1:] in {(1,), (1, -1)} and not n.kwargs


def unflattened_shape(n: fx.Node) -> tuple[int, int, int] | None:
    """Return the C, H and W of a node that makes an image of each vector."""
    if n.target != "unflatten" or n.kwargs or len(n.args) != 3 or n.args[1] != 1:  # noqa: PLR2004 - x, dimension, sizes
        return None
    match n.args[2]:
        case (int(channels), int(height), int(width)):
            return channels, height, width
        case _:
            return None


def only_user(n: fx.Node) -> fx.Node | None:
    """Return the node that alone uses a node's value."""
    return next(iter(n.users)) if len(n.users) == 1 else None


def _may_change_its_input(n: fx.Node) -> bool:
    """Return whether a node matters though nothing uses its value, as in ``x[:, 0].sub_(1)``."""
    name = str(getattr(n.target, "__name__", n.target))
    is_asked_to = any(a is True for a in (*n.args, n.kwargs.get("inplace"))) or "out" in n.kwargs
    changes = is_asked_to or name.endswith("_") or name in inplace_methods
    return changes or n.op in {"placeholder", "output"}


def _constant(value: object, root: nn.Module) -> Tensor | None:
    """Return the parameter or buffer that a node reads."""
    if not isinstance(value, fx.Node) or value.op != "get_attr":
        return None
    owner, _, name = str(value.target).rpartition(".")
    found = getattr(root.get_submodule(owner), name)
    return found if isinstance(found, Tensor) else None


def _pair(value: object) -> tuple[int, int] | None:
    match value:
        case int(both):
            return both, both
        case (int(first), int(second)):
            return first, second
        case _:
            return None
