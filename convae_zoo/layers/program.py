"""A part of a model as a flat list of calls with packed layers, for inference on a CPU.

Each layer becomes one oneDNN operator together with the activation and the addition that follow it.
Features stay in channels_last from one convolution to the next: where a linear layer follows or
precedes them, its weights are permuted instead.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import torch
from torch import Tensor, fx
from torch.nn import functional

from convae_zoo.layers import packing, rearrange, tracing
from convae_zoo.layers.packing import NO_ACTIVATION, RELU, Kernel, Layer

Program: TypeAlias = Callable[..., Tensor]
"""Maps a batch, and what else the part was traced with, to the part's output."""


def assemble(traced: fx.GraphModule, *inputs: Tensor, dtype: torch.dtype) -> Program:
    """Pack the layers of a traced part for inputs like these; return the calls as one function.

    Args:
        traced: what `trace` returned; it is not changed.
        inputs: an example. Other sizes work as well, and are fastest if they are similar.
        dtype: of the packed weights and of the features between them.

    Raises:
        AttributeError: this version of PyTorch has no such operator.
        RuntimeError: a layer does not take features of this dtype or layout.
    """
    graph = fx.Graph()
    graph.output(graph.graph_copy(traced.graph, {}))
    assembled = fx.GraphModule(traced, graph)
    packer = _Packer(assembled, dtype)
    packer.run(*inputs)
    packer.rewrite(graph)
    assembled.recompile()
    return assembled.forward


class _Packer(fx.Interpreter):
    """Runs a graph once, and makes a kernel of each layer that suits the input it meets."""

    def __init__(self, module: fx.GraphModule, dtype: torch.dtype) -> None:
        super().__init__(module)
        self.extra_traceback = False
        self._dtype = dtype
        self._kernels: dict[fx.Node, tuple[Kernel, tuple[fx.Node, ...]]] = {}
        self._absorbed: dict[fx.Node, fx.Node] = {}  # what another node's kernel computes as well
        self._computed: dict[fx.Node, Tensor] = {}  # its value, until the node's turn
        self._cast: set[fx.Node] = set()  # nodes whose values have this dtype for every input
        self._flattened: dict[fx.Node, torch.Size] = {}  # from channels_last, with the shape before
        self._unflattened: dict[fx.Node, tuple[int, int, int]] = {}  # the same, with the one after

    def run_node(self, n: fx.Node) -> Any:
        """Compute a node's value; remember a kernel if there is a faster one."""
        value = self._computed.pop(n) if n in self._absorbed else self._run(n)
        sources = n.all_input_nodes
        follows = bool(sources) and all(source in self._cast for source in sources)
        is_always = follows or n in self._absorbed or self._dtype == torch.float32
        if is_always and isinstance(value, Tensor) and value.dtype == self._dtype:
            self._cast.add(n)
        return value

    def _run(self, n: fx.Node) -> Any:
        source = n.args[0] if n.op.startswith("call") and n.args else None
        x = self.env.get(source) if isinstance(source, fx.Node) else None
        if not isinstance(x, Tensor) or not isinstance(source, fx.Node):
            return super().run_node(n)
        layer = self._layer(n)
        dimensions = 2 if layer is not None and layer.kind == "linear" else rearrange.IMAGES
        if layer is not None and x.ndim == dimensions and x.numel() > 0:
            return self._pack(n, layer, source, x)
        kernel = self._rearrangement(n, x)
        if kernel is not None:
            self._kernels[n] = (kernel, (source,))
            return kernel(x)
        return super().run_node(n)

    def rewrite(self, graph: fx.Graph) -> None:
        """Put the kernels into the graph that was run."""
        for node, (kernel, inputs) in self._kernels.items():
            node.op, node.target, node.args, node.kwargs = "call_function", kernel, inputs, {}
        for node, computed in self._absorbed.items():
            node.replace_all_uses_with(computed)
            graph.erase_node(node)
        for node in reversed(list(graph.nodes)):
            if node.op == "get_attr" and not node.users:
                graph.erase_node(node)

    def _layer(self, n: fx.Node) -> Layer | None:
        return tracing.layer_of(n, self.module)

    def _absorb(self, n: fx.Node, by: fx.Node) -> fx.Node | None:
        """Let a node's kernel compute a later node as well; return the only user of that one."""
        self._absorbed[n] = by
        return tracing.only_user(n)

    def _pack(self, n: fx.Node, layer: Layer, source: fx.Node, given: Tensor) -> Tensor:
        prepare = self._preparation(layer, source, given)
        x = given if prepare is None else prepare(given)
        is_packed = packing.is_worth_packing(layer, x)
        last, after, activation = n, tracing.only_user(n), NO_ACTIVATION
        if after is not None and layer.kind == "linear":
            factor = tracing.factor_of(after)
            if factor is not None:
                layer = _scaled(layer, factor)
                last, after = after, self._absorb(after, n)
        if after is not None and is_packed and (found := tracing.activation_of(after)) is not None:
            activation = found
            last, after = after, self._absorb(after, n)
        if layer.kind == "linear":
            order = None if after is None else tracing.unflattened_shape(after)
            if after is not None and order is not None:
                self._unflattened[after] = order
            layer = _permuted(layer, self._flattened.get(source), order)
        layer = layer.to(self._dtype)
        kernel, inputs = (
            packing.pack(layer, x, activation) if is_packed else _itself(layer),
            [source],
        )
        y = kernel(x)
        other = None if after is None else tracing.other_summand(after, last)
        can_add = is_packed and activation == NO_ACTIVATION and layer.kind != "transposed"
        if can_add and after is not None and other is not None and self._is_like(other, y):
            after = self._absorb(after, n)
            if layer.kind == "convolution" and after and tracing.activation_of(after) == RELU:
                activation = RELU
                self._absorb(after, n)
            kernel = packing.pack_with_addition(layer, x, activation)
            inputs.append(other)
            y = kernel(x, self.env[other])
        self._cast.add(n)
        self._kernels[n] = (kernel if prepare is None else _after(prepare, kernel), tuple(inputs))
        self._computed |= {node: y for node, by in self._absorbed.items() if by is n}
        return y

    def _preparation(self, layer: Layer, source: fx.Node, x: Tensor) -> Kernel | None:
        """Return what gives a layer's input the dtype and layout that the kernel needs."""
        dtype = self._dtype
        is_laid_out = layer.kind == "linear" or rearrange.is_channels_last(x)
        is_cast = source in self._cast
        if is_laid_out and is_cast:
            return None
        if is_laid_out:
            return lambda x: x.to(dtype)
        if is_cast:
            return rearrange.to_channels_last
        return lambda x: rearrange.to_channels_last(x).to(dtype)

    def _is_like(self, other: fx.Node, y: Tensor) -> bool:
        """Return whether a node has a value of another's shape, dtype and layout."""
        value = self.env.get(other)
        if not isinstance(value, Tensor) or value.shape != y.shape or other not in self._cast:
            return False
        return y.ndim != rearrange.IMAGES or rearrange.is_channels_last(value)

    def _leads_to_convolution(self, n: fx.Node) -> bool:
        followers, seen = list(n.users), set(n.users)
        while followers:
            layer = self._layer(follower := followers.pop())
            if layer is not None and layer.kind != "linear":
                return True
            followers += [user for user in follower.users if user not in seen]
            seen |= set(follower.users)
        return False

    def _rearrangement(self, n: fx.Node, x: Tensor) -> Kernel | None:
        """Return a kernel for a node that only moves values."""
        if n in self._unflattened:
            return rearrange.unflatten(*self._unflattened[n])
        match n.args[1:]:
            case (int(factor),) if n.target is functional.pixel_unshuffle:
                return rearrange.pixel_unshuffle(factor, x)
            case (int(factor),) if n.target is functional.pixel_shuffle:
                leads_on = self._leads_to_convolution(n)
                return None if leads_on else rearrange.pixel_shuffle(factor, x)
        if tracing.is_flatten(n) and rearrange.is_channels_last(x):
            layers = [self._layer(user) for user in n.users]
            if all(layer is not None and layer.kind == "linear" for layer in layers):
                self._flattened[n] = x.shape
                return rearrange.flattened
        return None


def _scaled(layer: Layer, factor: float) -> Layer:
    bias = None if layer.bias is None else layer.bias * factor
    return attrs.evolve(layer, weight=layer.weight * factor, bias=bias)


def _permuted(layer: Layer, before: torch.Size | None, after: tuple[int, int, int] | None) -> Layer:
    """Permute a linear layer's weights for images in channels_last before it or after it."""
    weight, bias = layer.weight, layer.bias
    if before is not None:
        weight = weight.view(-1, *before[1:]).permute(0, 2, 3, 1).flatten(1)
    if after is not None:
        weight = weight.view(*after, -1).permute(1, 2, 0, 3).flatten(0, 2)
        bias = None if bias is None else bias.view(after).permute(1, 2, 0).flatten()
    return attrs.evolve(layer, weight=weight.contiguous(), bias=bias)


def _itself(layer: Layer) -> Kernel:
    def unpacked(x: Tensor) -> Tensor:
        return layer(x)

    return unpacked


def _after(prepare: Kernel, kernel: Kernel) -> Kernel:
    def prepared(x: Tensor, *others: Tensor) -> Tensor:
        return kernel(prepare(x), *others)

    return prepared
