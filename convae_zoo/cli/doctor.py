"""``convae-zoo doctor``."""

import importlib.util
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata

import attrs
import click

from convae_zoo.cli.options import json_option
from convae_zoo.cli.output import print_json, print_table
from convae_zoo.errors import ZooError, ZooWarning, reason
from convae_zoo.files import cache_folder
from convae_zoo.registry import get_registry
from convae_zoo.registry.distributions import OWN_DISTRIBUTION

OK, FAILED, ABSENT = "ok", "failed", "absent"


@attrs.frozen
class Finding:
    """What a check found.

    Attributes:
        check: what was checked.
        status: ``ok``; ``failed``, which ends with exit status 1; or ``absent``, which is optional.
        detail: versions and names; of a failure, what to do.
    """

    check: str
    status: str
    detail: str


@click.command(name="doctor")
@json_option
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """Check the installation: packages, device, plugins, weights and the cache.

    The exit status is 1 if a check fails. Nothing is written or downloaded.

    \b
    Example: convae-zoo doctor
    """  # noqa: D301 - \b keeps click from wrapping
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZooWarning)  # the findings have it
        findings = [finding for check in CHECKS for finding in check()]
    if as_json:
        print_json({"findings": [attrs.asdict(finding) for finding in findings]})
    else:
        rows = [[each.check, each.status, each.detail] for each in findings]
        print_table(("check", "status", "detail"), rows, indent=0)
    if any(finding.status == FAILED for finding in findings):
        context.exit(1)


def _packages() -> Iterator[Finding]:
    """Check the versions that the zoo and torchvision, which is made for one torch, require."""
    unmet = [*_unmet(OWN_DISTRIBUTION), *_unmet("torchvision")]
    if unmet:
        yield Finding("packages", FAILED, f"{'; '.join(unmet)}; pip install -U {OWN_DISTRIBUTION}")
    else:
        versions = (f"{name} {metadata.version(name)}" for name in ("torch", "torchvision"))
        python = ".".join(map(str, sys.version_info[:3]))
        own = f"{OWN_DISTRIBUTION} {metadata.version(OWN_DISTRIBUTION)}"
        yield Finding("packages", OK, ", ".join((f"Python {python}", own, *versions)))


def _extras() -> Iterator[Finding]:
    """Check which extras are installed."""
    for extra in sorted(metadata.metadata(OWN_DISTRIBUTION).get_all("Provides-Extra") or ()):
        unmet = list(_unmet(OWN_DISTRIBUTION, extra))
        how = f"pip install '{OWN_DISTRIBUTION}[{extra}]'" if unmet else "installed"
        yield Finding(f"extra {extra}", ABSENT if unmet else OK, how)


def _unmet(distribution: str, extra: str = "") -> Iterator[str]:
    """Yield the requirements of a distribution that what is installed does not meet."""
    from packaging.requirements import Requirement

    for text in metadata.requires(distribution) or ():
        needed = Requirement(text)
        is_extra = "extra" in text.partition(";")[2]
        if is_extra != bool(extra) or (
            needed.marker and not needed.marker.evaluate({"extra": extra})
        ):
            continue
        try:
            found = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            yield f"{distribution} needs {needed.name}{needed.specifier}, which is not installed"
            continue
        if not needed.specifier.contains(found, prereleases=True):
            yield f"{distribution} needs {needed.name}{needed.specifier}, found {found}"


def _device() -> Iterator[Finding]:
    """Compute on the default device."""
    if importlib.util.find_spec("torch") is None:
        return  # a failure of the packages
    try:
        import torch

        from convae_zoo.runtime.device import choose_device, describe_device
        from convae_zoo.runtime.precision import choose_precision

        device = choose_device()
        precision = choose_precision("auto", device)
        torch.ones(2, 2, device=device).matmul(torch.ones(2, 2, device=device)).sum().item()
    except Exception as error:  # noqa: BLE001 - whatever a broken installation raises
        yield Finding("device", FAILED, f"{reason(error)}; reinstall torch and torchvision")
    else:
        detail = f"{describe_device(device)}; the precision 'auto' is {precision}"
        yield Finding("device", OK, detail)


def _plugins() -> Iterator[Finding]:
    """Check that every plugin could be loaded."""
    plugins = get_registry().plugins
    broken = [plugin for plugin in plugins if plugin.status == "broken"]
    for plugin in broken:
        source = f"{plugin.provenance.distribution} {plugin.provenance.version}"
        yield Finding(f"plugin {plugin.name}", FAILED, f"of {source}: {plugin.reason}")
    loaded = sum(plugin.status == "loaded" for plugin in plugins)
    yield Finding("plugins", OK, f"{loaded} loaded, {len(plugins) - loaded - len(broken)} blocked")


def _weights() -> Iterator[Finding]:
    """Check each file of trained weights that is on this machine, by its sha256 and content."""
    from convae_zoo.registry import list_models
    from convae_zoo.weights.download.cache import cached_path
    from convae_zoo.weights.load import read_metadata
    from convae_zoo.weights.names import registered

    specs = {name: registered(name) for name in list_models(pretrained=True)}
    local = [n for n, w in specs.items() if not w.remote or cached_path(str(w.sha256)).exists()]
    broken = 0
    for name in local:
        try:
            read_metadata(name)
        except ZooError as error:
            broken += 1
            yield Finding(f"weights {name}", FAILED, str(error))
    detail = f"{len(local) - broken} files are whole, {len(specs) - len(local)} not downloaded"
    yield Finding("weights", OK, detail)


def _cache() -> Iterator[Finding]:
    """Check that downloads can be kept."""
    folder = cache_folder()
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    if existing.is_dir() and os.access(existing, os.W_OK):
        yield Finding("cache", OK, str(folder))
    else:
        how = "make it writable, or name another folder in CONVAE_ZOO_CACHE"
        yield Finding("cache", FAILED, f"{existing} cannot be written to; {how}")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _packages,
    _device,
    _plugins,
    _weights,
    _cache,
    _extras,
)
