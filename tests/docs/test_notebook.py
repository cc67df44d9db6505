"""The notebook runs, is paired with its text, and is stored with its pictures."""

import pytest

from readme import REPOSITORY

jupytext = pytest.importorskip("jupytext")

FOLDER = REPOSITORY / "docs" / "notebooks"


def cells(name):
    return jupytext.read(FOLDER / name).cells


@pytest.mark.slow
def test_it_runs_in_its_small_form(monkeypatch):
    monkeypatch.setenv("CONVAE_ZOO_SMALL", "1")
    monkeypatch.delenv("CONVAE_ZOO_DATA", raising=False)
    shown = []
    names = {"__name__": "__main__", "display": shown.append}
    for cell in cells("article.py"):
        if cell.cell_type == "code":
            exec(compile(cell.source, "article.py", "exec"), names)  # noqa: S102 - our own text
    assert len(shown) == names["EPOCHS"]


def test_the_notebook_and_its_paired_text_agree():
    text, notebook = cells("article.py"), cells("article.ipynb")
    assert [(c.cell_type, c.source) for c in notebook] == [(c.cell_type, c.source) for c in text]


def test_it_is_stored_as_it_ran_with_pictures_and_small():
    code = [cell for cell in cells("article.ipynb") if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert all(output.output_type != "error" for output in outputs)
    assert not [o for o in outputs if o.get("name") == "stderr"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 10
    assert (FOLDER / "article.ipynb").stat().st_size < 2**20
