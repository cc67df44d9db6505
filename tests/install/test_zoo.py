"""The zoo itself, installed from its wheel."""

from pathlib import Path

import pytest

import convae_zoo

pytestmark = pytest.mark.slow

SOURCE = Path(convae_zoo.__file__).parents[1]


def test_the_zoo_that_runs_is_the_installed_one(fresh_environment):
    found = fresh_environment.code("import convae_zoo; print(convae_zoo.__file__)")
    assert Path(found.strip()).is_relative_to(fresh_environment.root)


def test_the_wheels_hold_every_file_of_the_sources(fresh_environment):
    """Templates, weights and their index as well as the code."""
    found = fresh_environment.code("import convae_reference as r; print(r.__path__[0])")
    site = Path(found.strip()).parent
    for folder in (SOURCE, SOURCE / "plugins", *SOURCE.glob("plugins/*/src")):
        files = {
            p.relative_to(folder)
            for pattern in ("convae_*/**/*.py", "convae_*/**/*.txt", "convae_*/weights/*.*")
            for p in folder.glob(pattern)
            if p.is_file() and not {"src", "tests"} & set(p.relative_to(folder).parts)
        }
        assert files
        assert [str(f) for f in sorted(files) if not (site / f).is_file()] == []
