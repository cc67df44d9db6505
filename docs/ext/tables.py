"""Tables of what is installed, made while the pages are built: they cannot go stale.

``python docs/ext/tables.py`` writes those of README.md, which a test compares.
"""

import math
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

import convae_zoo as zoo
from convae_zoo.models.plan import plan_model
from convae_zoo.registry import find_model, get_registry
from convae_zoo.registry.kinds import KINDS

Cells = tuple[str, ...]

README = Path(__file__).parents[2] / "README.md"
SIGMAS = (15, 25, 50)


def weights_table() -> tuple[Cells, list[Cells]]:
    """Return head and rows of the trained weights that reconstruct, by dataset, the best first."""
    head = ("weights", "latent floats", "MSE / PCA's", "MSE in [0, 1]", "PSNR", "SSIM", "images")
    rows = []
    for name in _by_mse():
        spec, weights = find_model(name)
        found = weights.metrics
        ratio = "PCA is exact" if "pca_mse" in found else "no PCA"
        if "ratio_to_pca" in found:
            ratio = f"{found['ratio_to_pca']:.3f}"
        rows.append(
            (
                name,
                _latent_floats(spec.name),
                ratio,
                f"{found['mse']:.6f}",
                f"{found['psnr']:.2f} dB",
                f"{found['ssim']:.4f}",
                f"{found['images']:,.0f} of {weights.measured_on}",
            )
        )
    return head, rows


def denoisers_table() -> tuple[Cells, list[Cells]]:
    """Return head and rows of the trained denoisers: their PSNR at each level of noise."""
    head = ("weights", *(f"noise of sigma {sigma}" for sigma in SIGMAS), "pictures")
    rows = []
    for name in zoo.list_models(pretrained=True):
        _, weights = find_model(name)
        if weights is not None and all(f"psnr_{sigma}" in weights.metrics for sigma in SIGMAS):
            found = weights.metrics
            decibels = (f"{found[f'psnr_{sigma}']:.2f} dB" for sigma in SIGMAS)
            rows.append((name, *decibels, f"{found['images']:.0f}"))
    return head, rows


def entries_table(kind: str) -> tuple[Cells, list[Cells]]:
    """Return head and rows of all entries of a kind."""
    specs = get_registry().entries[kind]
    rows = [
        (name, spec.summary, spec.provenance.distribution if spec.provenance else "")
        for name, spec in sorted(specs.items())
    ]
    return ("name", "what it is", "distribution"), rows


TABLES = {"weights-table": weights_table, "denoisers-table": denoisers_table}
"""The tables without arguments, by the name of their directive."""


def with_tables(text: str) -> str:
    """Return a page in Markdown with each table between its two comments made again."""
    for name, table in TABLES.items():
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- end of {name} -->")
        if end:
            text = f"{before}{begin}{_markdown(*table())}{end}{after}"
    return text


def _markdown(head: Cells, rows: list[Cells]) -> str:
    marked = [(f"`{name}`", *others) for name, *others in rows]
    lines = [head, tuple("---" for _ in head), *marked]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _by_mse() -> list[str]:
    """Name the trained weights with an MSE, by dataset and MSE."""
    found = {name: find_model(name)[1] for name in zoo.list_models(pretrained=True)}
    keys = {
        name: (weights.dataset, weights.metrics["mse"])
        for name, weights in found.items()
        if weights is not None and "mse" in weights.metrics
    }
    return sorted(keys, key=lambda name: keys[name])


def _latent_floats(model: str) -> str:
    return str(math.prod(plan_model(model).latent_shape))


class _Table(Directive):
    """A table whose cells are text."""

    def table(self, head: Cells, rows: list[Cells]) -> list[nodes.Node]:
        group = nodes.tgroup(cols=len(head))
        group += [nodes.colspec(colwidth=1) for _ in head]
        top, body = nodes.thead(), nodes.tbody()
        top += self._row(head)
        body += [self._row(row) for row in rows]
        group += [top, body]
        made = nodes.table(classes=["colwidths-auto"])
        made += group
        return [made]

    @staticmethod
    def _row(cells: Cells) -> nodes.row:
        row = nodes.row()
        for cell in cells:
            entry = nodes.entry()
            entry += nodes.paragraph(text=cell)
            row += entry
        return row


class FiguresTable(_Table):
    """``{weights-table}`` and the others of `TABLES`: trained weights and their figures."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        return self.table(*TABLES[self.name]())


class EntriesTable(_Table):
    """``{entries-table} KIND``: every entry of a kind."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        (kind,) = self.arguments
        if kind not in KINDS:
            raise self.error(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
        return self.table(*entries_table(kind))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    for name in TABLES:
        app.add_directive(name, FiguresTable)
    app.add_directive("entries-table", EntriesTable)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
