"""The properties as pytest tests, one for each entry and property."""

from collections.abc import Callable, Sequence

from convae_zoo.errors import PluginError
from convae_zoo.testing.checking import check_property, properties_of
from convae_zoo.testing.entry import BACKENDS, EXAMPLES, Entry, entries
from convae_zoo.testing.result import Skip


def conformance_tests(
    name: str | None = None,
    *,
    plugin: str | None = None,
    properties: Sequence[str] = (),
    examples: int = EXAMPLES,
    backend: str = BACKENDS[0],
) -> Callable[[Entry, str], None]:
    """Make a test function, parametrised over entries and properties.

    Args:
        name: only the entries of this name, or ``kind:name``.
        plugin: only the entries of this plugin.
        properties: only these.
        examples: how many configs and batches a property draws.
        backend: of ``torch.compile``: ``aot_eager``, or ``inductor``, which also compiles kernels
            and takes up to a minute per entry.

    Raises:
        PluginError: no entry is chosen, because the plugin is not installed or is broken.
    """
    import pytest

    chosen = entries(name, plugin=plugin, examples=examples, backend=backend)
    if not chosen:
        raise PluginError(
            f"no entry to test (name {name!r}, plugin {plugin!r}); install the plugin with "
            "'pip install -e .', then see 'convae-zoo plugins'"
        )
    cases = [
        pytest.param(entry, prop, id=f"{entry}-{prop}")
        for entry in chosen
        for prop in properties_of(entry.kind, properties)
    ]

    @pytest.mark.parametrize(("entry", "prop"), cases)
    def test(entry: Entry, prop: str) -> None:
        __tracebackhide__ = True
        try:
            check_property(entry, prop)
        except Skip as skip:
            pytest.skip(str(skip))

    return test
