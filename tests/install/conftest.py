"""A fresh environment with the zoo, which every test of this folder shares."""

import json
import os
import subprocess
import sys
import venv
from importlib.metadata import distributions
from pathlib import Path

import attrs
import pytest

from convae_zoo.scaffold.new_plugin import KINDS_WITH_TEMPLATE, new_plugin

REPOSITORY = Path(__file__).parents[2]
SOURCES = ("plugins/convae_backbones", "plugins/convae_weights", "tests/install/plain")
OFFLINE = ("--no-index", "--no-deps", "--no-build-isolation")


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

    def build(self, folder: Path, *sources: Path) -> None:
        """Write the wheels of packages into a folder, by the build tool that is there."""
        self.pip("wheel", *OFFLINE, "--wheel-dir", str(folder), *map(str, sources))

    def install(self, *packages: Path) -> None:
        """Install packages from wheels or from their sources."""
        self.pip("install", *OFFLINE, *map(str, packages))


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
def sprout(tmp_path_factory) -> Path:
    """The source of a package that `new_plugin` wrote, with an entry of every kind."""
    folder = tmp_path_factory.mktemp("sprout") / "sprout"
    new_plugin("sprout", folder, KINDS_WITH_TEMPLATE)
    return folder


@pytest.fixture(scope="session")
def fresh_environment(tmp_path_factory, sprout) -> Environment:
    """A fresh virtual environment: the zoo and every other distribution, installed from wheels.

    It borrows the heavy libraries of the one that runs the tests, but neither its zoo nor its
    plugins. A test that installs something more uninstalls it again.
    """
    folder = tmp_path_factory.mktemp("fresh_environment")
    venv.create(folder / "venv", with_pip=False)
    made = Environment(folder / "venv")
    borrowed = folder / "site-packages"  # elsewhere hypothesis reads all of it, as a user's code
    borrow(borrowed)
    site = Path(made.code("import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "borrowed.pth").write_text(f"{borrowed}\n")
    made.build(folder, REPOSITORY, sprout, *(REPOSITORY / source for source in SOURCES))
    made.install(*folder.glob("*.whl"))
    return made
