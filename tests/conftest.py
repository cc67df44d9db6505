"""Fixtures that several test files share."""

import importlib
import json
import os
import subprocess
import sys
import venv
from importlib.metadata import distributions
from pathlib import Path

import attrs
import pytest

from convae_zoo import registry

REPOSITORY = Path(__file__).parents[1]

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


@attrs.frozen
class Environment:
    """A virtual environment, and a folder to work in."""

    root: Path

    def python(self, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run its interpreter, in an environment without the tests' own settings."""
        foreign = ("PYTHON", "CONVAE_ZOO", "PIP_")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        return subprocess.run(
            [self.root / "bin" / "python", *args],
            cwd=self.root,
            env={**inherited, "OMP_NUM_THREADS": "1", **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def code(self, code: str) -> str:
        """Run Python code that must succeed, and return what it printed."""
        done = self.python("-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def zoo(self, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the script that pip installed."""
        return self.python(str(self.root / "bin" / "convae-zoo"), *args, **environment)

    def document(self, *args: str) -> dict:
        """Run a command with ``--json`` that must succeed in silence."""
        done = self.zoo(*args, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def pip(self, *args: str) -> None:
        """Run pip, which must succeed without the network."""
        done = self.python("-m", "pip", *args, "--quiet", "--disable-pip-version-check")
        assert done.returncode == 0, done.stderr

    def install(self, source: Path) -> None:
        """Install a package from its source, by the build tool that is there."""
        self.pip("install", "--no-index", "--no-deps", "--no-build-isolation", str(source))


def borrow(target: Path) -> None:
    """Link every installed package into a folder, but the zoo's and its plugins' metadata."""
    plugins = {
        dist._path.name
        for dist in distributions()
        if any(point.group == "convae_zoo" for point in dist.entry_points)
    }
    target.mkdir()
    for site in (Path(p) for p in sys.path if Path(p).name in {"site-packages", "dist-packages"}):
        for package in site.iterdir():
            link = target / package.name
            if package.name not in plugins and package.suffix != ".pth" and not link.exists():
                link.symlink_to(package)


@pytest.fixture(scope="session")
def fresh_environment(tmp_path_factory) -> Environment:
    """A fresh virtual environment with the zoo, installed from a wheel.

    It borrows the heavy libraries of the one that runs the tests, but neither its zoo nor its
    plugins. A test that installs something uninstalls it again.
    """
    folder = tmp_path_factory.mktemp("fresh_environment")
    venv.create(folder / "venv", with_pip=False)
    made = Environment(folder / "venv")
    borrow(folder / "borrowed")
    site = Path(made.code("import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "borrowed.pth").write_text(f"{folder / 'borrowed'}\n")
    made.pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(REPOSITORY))
    (wheel,) = folder.glob("convae_zoo-*.whl")
    made.install(wheel)
    return made


@pytest.fixture
def defects(monkeypatch):
    """The plugins that are wrong in every way, installed for this process and its children."""
    monkeypatch.syspath_prepend(REPOSITORY / "tests" / "testing" / "defects")
    with registry.override():
        yield
