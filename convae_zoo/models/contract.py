"""The contract of parts: a new part is checked on a tiny batch, and every call names its plugin."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from convae_zoo.errors import PluginError, ZooError, is_of_machine, reason
from convae_zoo.models.loading import is_loading
from convae_zoo.models.modes import eval_mode
from convae_zoo.registry.factories import plugin_error
from convae_zoo.registry.specs import BuiltSpec, DecoderSpec, EncoderSpec, Shape, shape_text

T = TypeVar("T")

LARGEST = 3 * 64 * 64
"""The largest image, in values, for which a part is checked when it is built.

Up to this size a forward pass takes a few milliseconds. For a backbone at 224×224 pixels it takes
as long as building the part; such a part is checked when the model is first used.
"""

_BATCH = 2


def check_part(part: nn.Module, spec: EncoderSpec | DecoderSpec, config: Any) -> None:
    """Refuse a part whose output is not what its config declares.

    The part runs in eval mode on a batch of zeros, without gradients; its mode and the state of the
    random generator are restored. Nothing is checked on the meta device, while stored weights are
    loaded, or for images of more than `LARGEST` values.

    Args:
        part: the new part.
        spec: the spec it was built from.
        config: its config.

    Raises:
        PluginError: the forward pass or ``forward_with_terms`` fails, or does not return a tensor
            of the declared shape and the input's dtype.
    """
    is_encoder = isinstance(spec, EncoderSpec)
    input_shape = config.input_shape if is_encoder else config.latent_shape
    declared = config.latent_shape if is_encoder else config.output_shape
    device, dtype = _device_and_dtype(part)
    too_large = math.prod(input_shape if is_encoder else declared) > LARGEST
    if too_large or is_loading() or device.type == "meta":
        return
    devices = [device] if device.type == "cuda" else []
    x = torch.zeros(_BATCH, *input_shape, device=device, dtype=dtype)
    with torch.random.fork_rng(devices), torch.no_grad(), eval_mode(part):
        outputs: list[Any] = [call_part(spec, "its forward pass", part, x)]
        with_terms = getattr(part, "forward_with_terms", None)
        if with_terms is not None:
            returned = call_part(spec, "its forward_with_terms", with_terms, x)
            outputs.append(_without_terms(spec, returned))
    for output in outputs:
        check_output(spec, declared, output, x)


def check_output(
    spec: EncoderSpec | DecoderSpec, declared: Shape, output: object, x: Tensor
) -> None:
    """Refuse an output that is not a batch of the declared shape.

    Args:
        spec: the part's spec.
        declared: the shape of one latent or image.
        output: what the part returned.
        x: the input batch.

    Raises:
        PluginError: the output is no tensor, or has another shape, dtype or device.
    """
    if (
        not isinstance(output, Tensor)
        or tuple(output.shape[1:]) != tuple(declared)
        or output.device != x.device
        or not _is_dtype_of(output, x)
        # In a traced model, comparing the batch size would make torch.export fix it.
        or (not torch.compiler.is_compiling() and len(output) != len(x))
    ):
        raise _output_error(spec, declared, output, x)


def check_terms(spec: EncoderSpec | DecoderSpec, terms: Mapping[str, object]) -> None:
    """Refuse loss terms that are not scalar tensors.

    Raises:
        PluginError: one is not.
    """
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.shape != ():
            raise plugin_error(
                spec, f"its loss term {name!r} must be a scalar tensor, got {_describe(term)}"
            )


def check_figures(spec: EncoderSpec | DecoderSpec, figures: object) -> dict[str, float]:
    """Return the metrics that a part reported; refuse what are no numbers by name.

    Raises:
        PluginError: they are not.
    """
    try:
        return {
            str(name): value if isinstance(value, int) else float(value)
            for name, value in dict(figures).items()  # type: ignore[call-overload]  # whatever the plugin returned
        }
    except (TypeError, ValueError, RuntimeError) as error:
        raise plugin_error(
            spec, f"its report must return numbers by name, got {figures!r:.80}"
        ) from error


def call_part(
    spec: BuiltSpec,
    what: str,
    call: Callable[..., T],
    *args: Any,
    accepts: Callable[[], bool] = lambda: True,
) -> T:
    """Call a plugin's part or loss, or a method of it; an exception of its own names the plugin.

    Args:
        spec: what the part was built from.
        what: the part or its method, for the message: ``its to_codes``.
        call: called with `args`.
        args: passed on.
        accepts: whether the part has to accept the arguments; called after an exception.

    Raises:
        PluginError: the call fails. A `ZooError`, a failure of memory or of the device, and any
            exception on arguments that the part need not accept, pass as they are.
    """
    if torch.compiler.is_compiling():
        return call(*args)
    try:
        return call(*args)
    except ZooError:
        raise
    except Exception as error:
        if is_of_machine(error) or not accepts():
            raise
        shapes = (shape_text(tuple(a.shape)) for a in args if isinstance(a, Tensor))
        where = next((f" on a batch {shape}" for shape in shapes), "")
        raise plugin_error(spec, f"{what} fails{where}: {reason(error)}") from error


def _is_dtype_of(output: Tensor, x: Tensor) -> bool:
    """Return whether an output has its input's dtype or, under autocast, any floating dtype."""
    if output.dtype == x.dtype:
        return True
    return output.is_floating_point() and torch.is_autocast_enabled(x.device.type)


def _output_error(
    spec: EncoderSpec | DecoderSpec, declared: Shape, output: object, x: Tensor
) -> PluginError:
    name = "latent" if isinstance(spec, EncoderSpec) else "output"
    expected, got = f"{_name(x.dtype)} N×{shape_text(declared)}", _describe(output)
    if isinstance(output, Tensor) and output.device != x.device:
        expected, got = f"{expected} on {x.device}", f"{got} on {output.device}"
    return plugin_error(spec, f"its {name} must be a tensor {expected}, got {got}")


def _describe(output: object) -> str:
    if isinstance(output, Tensor):
        return f"{_name(output.dtype)} {shape_text(tuple(output.shape))}"
    return "None" if output is None else f"a value of type {type(output).__name__}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _device_and_dtype(part: nn.Module) -> tuple[torch.device, torch.dtype]:
    tensors = list(itertools.chain(part.parameters(), part.buffers()))
    floats = (t.dtype for t in tensors if t.is_floating_point())
    device = next((t.device for t in tensors), torch.get_default_device())
    return device, next(floats, torch.get_default_dtype())


def _without_terms(spec: EncoderSpec | DecoderSpec, output: Any) -> Any:
    if isinstance(output, tuple) and len(output) == 2 and isinstance(output[1], Mapping):  # noqa: PLR2004 - output and terms
        return output[0]
    raise plugin_error(
        spec, f"forward_with_terms must return (output, terms by name), got {_describe(output)}"
    )
