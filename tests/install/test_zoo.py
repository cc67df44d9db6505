"""The zoo itself, installed from its wheel."""

from pathlib import Path

import pytest

import convae_zoo

pytestmark = pytest.mark.slow

SOURCE = Path(convae_zoo.__file__).parents[1]


def test_the_zoo_that_runs_is_the_installed_one(fresh_environment):
    found = fresh_environment.code("import convae_zoo; print(convae_zoo.__file__)")
    assert Path(found.strip()).is_relative_to(fresh_environment.root)


def test_the_wheels_hold_every_file_of_the_packages(fresh_environment):
    """Templates, weights and their index as well as the code."""
    found = fresh_environment.code("import convae_reference as r; print(r.__path__[0])")
    site = Path(found.strip()).parent
    packages = [p.parent for p in SOURCE.glob("plugins/**/convae_*/__init__.py")]
    assert {"convae_losses", "convae_backbones", "convae_weights"} <= {p.name for p in packages}
    for package in (SOURCE / "convae_zoo", *packages):
        files = [p.relative_to(package.parent) for p in package.rglob("*.*") if p.is_file()]
        kept = [f for f in files if "__pycache__" not in f.parts]
        assert [str(f) for f in sorted(kept) if not (site / f).is_file()] == []


def test_the_installed_zoo_benchmarks_a_convolution_without_a_checkout(fresh_environment):
    done = fresh_environment.zoo(
        *("bench", "--conv", "4x8x8", "--transposed", "--batch", "1", "--seconds", "0.01"),
        *("--device", "cpu"),
    )
    assert done.returncode == 0, done.stderr
    for way in ("forward", "backward"):
        assert f"transposed 4-4x8x8k3s1 batch 1 fp32 contiguous {way} ours" in done.stdout
    assert "OF LIMIT" in done.stdout
