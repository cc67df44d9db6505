"""How the suite runs, and fixtures that several test files share."""

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import settings

from convae_zoo import registry

REPOSITORY = Path(__file__).parents[1]

# Read once, when torch is imported: the tests use the cores by running side by side.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# A shell starts a background job with SIGINT ignored, which every child would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no defect: what hangs is ended by pytest-timeout.
settings.register_profile("zoo", deadline=None)
settings.load_profile("zoo")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow tests first, so that the workers end together."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Make the scheduler of ``--dist loadgroup``; xdist makes the others."""
    if config.getoption("dist") != "loadgroup":
        return None
    from scheduling import FoldersTogether

    return FoldersTogether(config, log)


ENCODER = """
from convae_zoo import fields, hookimpl
from convae_zoo import DecoderSpec, EncoderSpec
import attrs


@attrs.frozen(kw_only=True)
class Config:
    latent_dim: int = fields.integer(8)
    input_shape = output_shape = (3, 16, 16)

    @property
    def latent_shape(self):
        return (self.latent_dim,)


def encoder(name, **more):
    return EncoderSpec(name=name, factory="nowhere:Encoder", config=Config, **more)


def decoder(name, **more):
    return DecoderSpec(name=name, factory="nowhere:Decoder", config=Config, **more)


@hookimpl
def register_encoders(register):
    register(encoder("tiny", summary="a tiny encoder"))
"""


@attrs.frozen
class PluginSite:
    """A folder on the import path that holds installed distributions.

    `encoder` is the source of a plugin that registers the encoder ``tiny``.
    """

    path: Path
    encoder: str = ENCODER

    def install(
        self,
        distribution: str,
        plugins: dict[str, str],
        version: str = "1.0",
        requires: tuple[str, ...] = (),
    ) -> None:
        """Install a distribution: the source of a module for each plugin's name."""
        info = self.path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
            + "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
        )
        lines = ["[convae_zoo]"]
        for name, source in plugins.items():
            module = f"site_{distribution}_{name}".replace("-", "_")
            (self.path / f"{module}.py").write_text(source)
            lines.append(f"{name} = {module}")
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        importlib.invalidate_caches()

    def run(self, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line in a process that sees what is installed here."""
        return self._run("-m", "convae_zoo", *args, **environment)

    def python(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python code in a process that sees what is installed here."""
        return self._run("-c", code, **environment)

    def _run(self, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *args],
            env={**os.environ, "PYTHONPATH": str(self.path), **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep downloads apart from the user's and from another worker's."""
    os.environ["CONVAE_ZOO_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def plugin_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder where a test installs distributions, seen by this process and by others."""
    registry.get_registry()  # kept for the whole process: what is installed here must not be in it
    path = tmp_path / "site"
    path.mkdir()
    monkeypatch.syspath_prepend(path)
    yield PluginSite(path)
    for name in [n for n in sys.modules if n.startswith("site_")]:
        del sys.modules[name]


@pytest.fixture
def defects(monkeypatch):
    """The plugins that are wrong in every way, installed for this process and its children."""
    monkeypatch.syspath_prepend(REPOSITORY / "tests" / "testing" / "defects")
    with registry.override():
        yield
