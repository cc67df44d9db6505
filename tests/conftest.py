"""Fixtures that several test files share."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

ENCODER = """
from convae_zoo import fields, hookimpl
from convae_zoo.specs import DecoderSpec, EncoderSpec
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

    def install(self, distribution: str, plugins: dict[str, str], version: str = "1.0") -> None:
        """Install a distribution: the source of a module for each plugin's name."""
        info = self.path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
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
    path = tmp_path / "site"
    path.mkdir()
    monkeypatch.syspath_prepend(path)
    yield PluginSite(path)
    for name in [n for n in sys.modules if n.startswith("site_")]:
        del sys.modules[name]
