"""Tables of what is installed, made while the pages are built: they cannot go stale."""

import math
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

import convae_zoo as zoo
from convae_zoo.models.plan import plan_model
from convae_zoo.registry import find_model, get_registry
from convae_zoo.registry.kinds import KINDS

Cells = tuple[str, ...]


def weights_table() -> tuple[Cells, list[Cells]]:
    """Return head and rows of the trained weights, with what their cards state."""
    head = ("weights", "latent floats", "MSE in [0, 1]", "PSNR", "SSIM", "MSE / PCA's")
    rows = []
    for name in zoo.list_models(pretrained=True):
        spec, weights = find_model(name)
        if weights is None or "mse" not in weights.metrics:
            continue
        found = weights.metrics
        ratio = "PCA is exact" if "pca_mse" in found else "no PCA"
        if "ratio_to_pca" in found:
            ratio = f"{found['ratio_to_pca']:.3f}"
        rows.append(
            (
                name,
                _latent_floats(spec.name),
                f"{found['mse']:.6f}",
                f"{found['psnr']:.2f} dB",
                f"{found['ssim']:.4f}",
                ratio,
            )
        )
    return head, rows


def entries_table(kind: str) -> tuple[Cells, list[Cells]]:
    """Return head and rows of all entries of a kind."""
    specs = get_registry().entries[kind]
    rows = [
        (name, spec.summary, spec.provenance.distribution if spec.provenance else "")
        for name, spec in sorted(specs.items())
    ]
    return ("name", "what it is", "distribution"), rows


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


class WeightsTable(_Table):
    """``{weights-table}``: the trained weights and their figures."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        return self.table(*weights_table())


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
    app.add_directive("weights-table", WeightsTable)
    app.add_directive("entries-table", EntriesTable)
    return {"parallel_read_safe": True}
