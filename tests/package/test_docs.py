"""The pages in docs/ name every public name and room."""

import re
import tomllib

import pytest

import api_surface
import convae_zoo
from readme import REPOSITORY

DOCS = REPOSITORY / "docs"


def test_the_reference_names_every_public_name_and_no_other():
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\.\. auto\w+:: (\w+)$", page, re.MULTILINE)
    documented += re.findall(r"^\.\. automodule:: convae_zoo\.registry\.(\w+)$", page, re.MULTILINE)
    listed = {line for line in api_surface.lines() if re.fullmatch(r"[A-Za-z_]\w*", line)}
    missing = set(convae_zoo.__all__) - set(documented)
    assert not missing, f"add to docs/reference.md: {missing}"
    assert sorted(documented) == sorted(convae_zoo.__all__)
    assert listed == set(convae_zoo.__all__)


@pytest.mark.parametrize("page", ["docs/architecture.md"])
def test_the_rooms_of_a_page_are_those_that_the_linter_knows_in_their_order(page):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = (c["layers"] for c in project["tool"]["importlinter"]["contracts"] if "layers" in c)
    rooms = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", text, re.MULTILINE)
    assert rooms == layers[::-1]
