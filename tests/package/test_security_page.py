"""SECURITY.md: every statement has its test."""

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def test_every_test_that_the_page_names_is_there():
    assert len(NAMED) > 20
    for path, name in NAMED:
        tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
        assert name in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}, name


def test_every_statement_of_what_is_checked_names_a_test():
    checked = PAGE.partition("## What is not trusted")[2].partition("## How it is")[0]
    statements = re.split(r"^- ", checked, flags=re.MULTILINE)[1:]
    assert [each for each in statements if "`tests/" not in each] == []
