"""The exceptions: `ZooError` and its subclasses.

Every message is one line: what was wrong, what was expected, what to do.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator


class ZooError(Exception):
    """The operation failed. The command line exits with status 1."""

    exit_status = 1

    def __str__(self) -> str:
        return printable(super().__str__())


class UsageError(ZooError):
    """The call itself is wrong. The command line exits with status 2."""

    exit_status = 2


class UnknownNameError(UsageError):
    """A name, option or field that does not exist."""


class ConfigError(UsageError):
    """A config value of the wrong type or out of range."""


class ContractError(UsageError):
    """Two things are incompatible, for example an encoder's latent and a decoder's."""


class PluginError(ZooError):
    """A plugin that cannot be loaded, or that broke a rule of registration."""


class DataError(ZooError):
    """Images that are missing, unreadable or of the wrong form."""


class InputError(DataError, ValueError):
    """Input that an estimator cannot use; a ValueError too, as scikit-learn expects."""


class FileError(ZooError):
    """A file or folder that cannot be written."""


class WeightsError(ZooError):
    """A weights file that is missing, damaged, or made for something else."""


class DeviceError(ZooError):
    """Memory ran out, a device failed or lacks an operation, while a model ran."""


class TrainingError(ZooError):
    """A training run that cannot start or continue."""


class ZooWarning(UserWarning):
    """Something was left out; everything else still works."""


def escaped(text: object) -> str:
    """Return any text with its control characters escaped; its spaces are kept."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def printable(text: object) -> str:
    """Return any text as one line with its control characters escaped.

    Text from a file, a server or a plugin then cannot control the terminal it is printed on.
    """
    return escaped(" ".join(str(text).split()))


def reason(error: BaseException, limit: int = 300) -> str:
    """Describe any exception in one line: its type and its message.

    Of a `ZooError` the message is enough. torch's C++ stack is left out, and a long message is cut
    to `limit` characters.
    """
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a plugin's exception whose __str__ fails
        text = ""
    line = printable(text.partition("\nException raised from ")[0])
    if len(line) > limit:
        line = f"{line[: limit - 3]}..."
    if isinstance(error, ZooError) and line:
        return line
    kind = type(error).__name__
    return f"{kind}: {line}" if line else kind


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out; on a CPU torch raises a plain RuntimeError for that."""
    kind, text = type(error).__name__, str(error)
    known = isinstance(error, MemoryError) or kind == "OutOfMemoryError"
    return known or _OUT_OF_MEMORY.search(text) is not None


_OUT_OF_MEMORY = re.compile(
    r"(out of|not enough) memory|bad_alloc|(tried to|can't|cannot|unable to) allocate",
    re.IGNORECASE,
)


def is_of_machine(error: BaseException) -> bool:
    """Return whether memory ran out or a device failed, whatever code was running."""
    return is_out_of_memory(error) or _DEVICE_FAILURE.match(str(error)) is not None


_DEVICE_FAILURE = re.compile(r"(CUDA|cuDNN|HIP|MIOpen|NCCL|MPS|XPU)\b.{0,20}\berror", re.IGNORECASE)


@contextlib.contextmanager
def device_failures(what: str, remedy: str = "use smaller batches") -> Iterator[None]:
    """Turn torch's failures within a block into a `DeviceError` of one line.

    These are: memory ran out, a device failed, an operation is missing for a dtype or device. Any
    other exception passes as it is; it is a bug, or a plugin's own.

    Args:
        what: the work, for the message: ``training convae-200``.
        remedy: what to do if memory runs out.

    Raises:
        DeviceError: one of them happened.
    """
    try:
        yield
    except ZooError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise DeviceError(f"{what} ran out of memory; {remedy} ({reason(error)})") from error
        if is_of_machine(error):
            raise DeviceError(f"{what} failed on the device: {reason(error)}") from error
        if isinstance(error, NotImplementedError):
            raise DeviceError(
                f"{what} needs an operation that this device or dtype lacks; use float32 or "
                f"another device ({reason(error)})"
            ) from error
        raise


def is_from_torch(error: BaseException) -> bool:
    """Return whether torch refused an operation, directly or within a plugin's part."""
    return isinstance(error.__cause__ if isinstance(error, PluginError) else error, RuntimeError)


def nearest(name: str, known: Iterable[str], listing: str = "") -> str:
    """Suggest the known names that are nearest to a name, as the end of an error message.

    If none is near, names are listed: the first twelve, with `listing` on where to find all.
    """
    import difflib  # needed only when something went wrong

    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=3)
    if close := close or [each for each in names if name and each.startswith(name)][:3]:
        return "did you mean " + " or ".join(repr(c) for c in close) + "?"
    if not names:
        return "there are none."
    listed, more = ", ".join(names[:_LISTED]), len(names) - _LISTED
    return f"known: {listed}, and {more:,} more{listing}." if more > 0 else f"known: {listed}."


_LISTED = 12


def unknown(kind: str, name: object, known: Iterable[str], listing: str = "") -> UnknownNameError:
    """Create the error for an unknown name of some kind."""
    return UnknownNameError(f"unknown {kind} {name!r:.80}; {nearest(str(name), known, listing)}")
