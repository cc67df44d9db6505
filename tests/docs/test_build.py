"""The pages in docs/ build without a network and without a warning."""

import importlib.util

import pytest

from readme import REPOSITORY

DOCS = REPOSITORY / "docs"


def test_the_tables_of_the_readme_are_those_of_the_installed_weights():
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location("tables", DOCS / "ext" / "tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert [text.count(f"<!-- {name} -->\n|") for name in tables.TABLES] == [1, 1]
    assert text == tables.with_tables(text), "run python docs/ext/tables.py"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_the_pages_build_without_a_warning(tmp_path):
    build = pytest.importorskip("sphinx.cmd.build")
    for needed in ("furo", "myst_parser", "sphinx_click"):
        pytest.importorskip(needed)
    warnings = tmp_path / "warnings.txt"
    status = build.build_main(
        ["-q", "-W", "--keep-going", "-w", str(warnings), str(DOCS), str(tmp_path / "html")]
    )
    assert status == 0, warnings.read_text(encoding="utf-8")
    page = (tmp_path / "html" / "models.html").read_text(encoding="utf-8")
    assert "a linear layer and six 3×3 transposed convolutions" in page
    assert "--checkpoint-every" in (tmp_path / "html" / "cli.html").read_text(encoding="utf-8")
