"""Saved benchmark files as Markdown and a chart.

    python -m benchmarks.report FILE... [--out FOLDER]

``convae-zoo bench compare`` compares two of them.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import click
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLOURS = {"ours": "#1f77b4", "pytorch": "#ff7f0e", "limit": "#999999"}
_OTHERS = ("#2ca02c", "#9467bd", "#8c564b", "#17becf")
Record = dict[str, Any]


def read(path: Path) -> dict[str, Any]:
    """Read a file that ``pytest --benchmark-json`` wrote.

    Raises:
        ClickException: it is missing or something else.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for record in content["benchmarks"]:
            record["name"], record["stats"]["median"], record["extra_info"]
    except OSError as error:
        raise click.ClickException(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise click.ClickException(f"{path} is not a file of pytest --benchmark-json") from None
    return content


def candidate(record: Record) -> str:
    """Say whose time a record holds: ``ours``, ``pytorch``, or a peer's name."""
    who: str = record["extra_info"].get("who", "ours")
    return {"zoo": "ours", "zoo-fp32": "ours, fp32", "article": "pytorch"}.get(who, who)


def case(record: Record) -> str:
    """Name what was timed, without the candidate."""
    who = record["extra_info"].get("who", "")
    name: str = record["name"].removeprefix("test_")
    return name.replace(f"-{who}]", "]").replace(f"[{who}-", "[").replace(f"[{who}]", "")


def table(content: dict[str, Any]) -> str:
    """Write a file's records as Markdown tables, one per group."""
    lines = [f"### {content['machine_info'].get('cpu', 'unknown')}", ""]
    groups: dict[str, dict[str, dict[str, Record]]] = defaultdict(lambda: defaultdict(dict))
    for record in content["benchmarks"]:
        groups[record["group"]][case(record)][candidate(record)] = record
    for group, cases in groups.items():
        lines += [
            f"#### {group}",
            "",
            "| case | candidate | median ms | images/s | GFLOP/s | of limit | against PyTorch |",
            "|---|---|--:|--:|--:|--:|--:|",
        ]
        for name, records in cases.items():
            lines += [_row(name, who, r, records.get("pytorch")) for who, r in records.items()]
        lines.append("")
    info = [r["extra_info"] for r in content["benchmarks"]]
    limits = sorted(
        {(i["device_name"], i["precision"], i["matmul_peak"]) for i in info if "matmul_peak" in i}
    )
    lines += [f"Limit, a matrix product on {d} in {p}: {v:,.0f} GFLOP/s." for d, p, v in limits]
    lines += [
        f"Threads: {n}, torch {t}." for n, t in sorted({(i["threads"], i["torch"]) for i in info})
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, who: str, record: Record, plain: Record | None) -> str:
    info, median = record["extra_info"], record["stats"]["median"]
    cells = [
        name,
        who,
        f"{median * 1e3:,.3f}",
        f"{info['images_per_second']:,.0f}" if "images_per_second" in info else "",
        f"{info['gflop_per_second']:,.0f}" if "gflop_per_second" in info else "",
        f"{info['share_of_peak']:.0%}" if "share_of_peak" in info else "",
        f"{plain['stats']['median'] / median:.2f}×"
        if plain is not None and plain is not record
        else "",
    ]
    return "| " + " | ".join(cells) + " |"


def chart(contents: list[dict[str, Any]], path: Path) -> None:
    """Draw GFLOP/s of every case that has them: ours, plain PyTorch, peers, and the limit.

    The largest group is on the left, the others on the right.
    """
    groups: dict[str, dict[str, dict[str, Record]]] = defaultdict(lambda: defaultdict(dict))
    for content in contents:
        for record in content["benchmarks"]:
            if "gflop_per_second" in record["extra_info"]:
                groups[record["group"]][case(record)][candidate(record)] = record
    if not groups:
        raise click.ClickException("there is nothing to draw: no record has GFLOP/s")
    names = sorted({who for cases in groups.values() for rs in cases.values() for who in rs})
    others = iter(_OTHERS * len(names))
    colours = {who: COLOURS.get(who) or next(others) for who in names}
    first, *rest = sorted(groups, key=lambda g: -len(groups[g]))
    columns = [[first], rest] if rest else [[first]]
    most = max(sum(len(groups[g]) + 3 for g in column) for column in columns)
    figure = Figure(figsize=(10 * len(columns), 1.2 + 0.2 * most), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(1, len(columns))
    for place, column in zip(grid, columns, strict=True):
        heights = [len(groups[g]) + 3 for g in column]
        rows = place.subgridspec(len(column), 1, height_ratios=heights)
        for row, group in zip(rows, column, strict=True):
            _panel(figure.add_subplot(row), group, groups[group], colours)
    handles = {
        h.get_label(): h for axes in figure.axes for h in axes.get_legend_handles_labels()[0]
    }
    figure.legend(handles=list(handles.values()), loc="outside upper center", ncols=len(handles))
    figure.savefig(path, dpi=90)


def _panel(
    axes: Any, group: str, cases: dict[str, dict[str, Record]], colours: dict[str, str]
) -> None:
    present = [who for who in colours if any(who in records for records in cases.values())]
    height = 0.85 / len(present)
    for index, who in enumerate(present):
        places = [y + index * height for y, r in enumerate(cases.values()) if who in r]
        values = [r[who]["extra_info"]["gflop_per_second"] for r in cases.values() if who in r]
        axes.barh(places, values, height, color=colours[who], label=who)
    limits = [max(r["extra_info"]["matmul_peak"] for r in rs.values()) for rs in cases.values()]
    middles = [y + height * (len(present) - 1) / 2 for y in range(len(cases))]
    label = "limit: a matrix product in the fastest precision of the row"
    axes.scatter(limits, middles, marker="|", s=60, color="black", label=label)
    axes.set_yticks(middles, list(cases), fontsize=7)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set_title(group, loc="left", fontweight="bold")
    axes.set_xlabel("GFLOP/s, counted as PyTorch's own layers compute them")


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for report.md and chart.png.")
def main(files: tuple[Path, ...], out: Path | None) -> None:
    """Print saved benchmark FILES as Markdown and draw a chart."""
    if not files:
        raise click.UsageError("name the files to report")
    contents = [read(path) for path in files]
    text = "\n".join(table(content) for content in contents)
    click.echo(text)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.md").write_text(text, encoding="utf-8")
        chart(contents, out / "chart.png")
        click.echo(f"report  {out / 'report.md'}\nchart   {out / 'chart.png'}")


if __name__ == "__main__":
    main()
