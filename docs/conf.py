"""Sphinx: ``make docs`` builds these pages without a network; every warning is an error."""

import sys
from pathlib import Path

import convae_zoo

sys.path.insert(0, str(Path(__file__).parent / "ext"))

project = "convae_zoo"
author = "The convae_zoo developers"
version = release = convae_zoo.__version__
copyright = author  # noqa: A001 - Sphinx's name

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "examples",
    "tables",
]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # the signatures have them
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "inherited-members": False}
default_role = "py:obj"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # or each attribute would be documented twice

html_theme = "furo"
html_title = f"convae_zoo {release}"
html_show_copyright = False
html_show_sphinx = False
