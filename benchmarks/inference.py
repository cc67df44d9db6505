"""Inference beside its rivals: ``python -m benchmarks.inference --out FILE``.

Every candidate reconstructs the same float images with the same weights. In each round every
candidate has its turn, in alternating order, so whatever else the machine does affects all of
them. A turn begins with untimed calls, because the threads of some runtimes keep a core busy for a
while after a call.
"""

import datetime as dt
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import torch
from torch import Tensor

import convae_zoo as zoo
from convae_zoo.bench.document import cpu_name
from convae_zoo.export.onnx import missing_onnx_packages, onnx_session, to_onnx
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime import openvino_program
from convae_zoo.runtime.memory import keep_freed_memory

MODELS = ("convae-200", "linear-residual-200")
BATCHES = (1, 4, 16, 64, 256)
OURS = ("ours", "ours fp32", "ours without OpenVINO")
TURN = 0.02
"""Seconds of a turn's timed calls, at least one call."""

SETTLING = 0.004
"""Seconds of a turn's untimed calls, at least one call."""

Call = Callable[[], Any]


def rivals(model: Autoencoder, x: Tensor, folder: Path) -> dict[str, Call]:
    """Return what is timed for a batch, by name; a package that is missing is reported."""
    return {
        "eager fp32": partial(_without_gradients, model, x),
        **_compiled(model, x),
        **_of_onnx(model, x, folder),
    }


def _without_gradients(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.inference_mode():
        return model(x)


def _compiled(model: Autoencoder, x: Tensor) -> dict[str, Call]:
    """Return ``torch.compile`` with frozen weights in both precisions."""
    import torch._inductor.config as settings

    settings.freezing = True
    torch.compiler.reset()

    def in_bf16(x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output: Tensor = model(x).float()
            return output

    calls: dict[str, Callable[[Tensor], Tensor]] = {
        "torch.compile fp32": model,
        "torch.compile bf16": in_bf16,
    }
    return {name: partial(_without_gradients, torch.compile(f), x) for name, f in calls.items()}


def _of_onnx(model: Autoencoder, x: Tensor, folder: Path) -> dict[str, Call]:
    """Return the runtimes that read an ONNX file."""
    if missing := missing_onnx_packages():
        click.echo(f"onnxruntime and OpenVINO are left out: no {', '.join(missing)}", err=True)
        return {}
    path = folder / f"{model.name}.onnx"
    if not path.exists():
        to_onnx(model, torch.randn(2, *model.image_shape), "images", "reconstruction").save(path)
    session = onnx_session(path, threads=torch.get_num_threads())
    images = {"images": x.numpy()}
    calls: dict[str, Call] = {"onnxruntime fp32": partial(session.run, None, images)}
    if find_spec("openvino") is None:
        click.echo("OpenVINO is left out: no openvino", err=True)
        return calls
    engine = openvino_program.engine()
    graph = engine.read_model(path)
    graph.reshape(list(x.shape))
    for precision in ("f32", "bf16"):
        settings = {
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        request = engine.compile_model(graph, "CPU", settings).create_infer_request()
        shared = {"share_inputs": True, "share_outputs": True}
        calls[f"OpenVINO {precision}"] = partial(request.infer, images, **shared)
    return calls


def time_in_turns(calls: Mapping[str, Call], seconds: float) -> dict[str, list[float]]:
    """Time candidates in turns, for about so many seconds each; return the seconds of each call."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
        call()
    rounds = 0
    ends = time.perf_counter() + seconds * len(calls)
    while rounds < 3 or time.perf_counter() < ends:
        rounds += 1
        for name, call in list(calls.items())[:: -1 if rounds % 2 else 1]:
            _repeat(call, SETTLING)
            found[name] += _repeat(call, TURN)
    return found


def _repeat(call: Call, seconds: float) -> list[float]:
    times: list[float] = []
    while sum(times) < seconds:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return times


def summary(times: Mapping[str, list[float]]) -> dict[str, Any]:
    """Return milliseconds by candidate, and the best rival's median over ours."""
    medians = {name: statistics.median(found) for name, found in times.items()}
    best = min((name for name in medians if name not in OURS), key=lambda name: medians[name])
    return {
        "median_ms": {name: round(1e3 * value, 3) for name, value in medians.items()},
        "minimum_ms": {name: round(1e3 * min(found), 3) for name, found in times.items()},
        "calls": {name: len(found) for name, found in times.items()},
        "best_rival": best,
        "best_rival_over_ours": round(medians[best] / medians["ours"], 3),
    }


@click.command()
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
@click.option("--batch", "batches", multiple=True, type=int, default=BATCHES, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--seconds", default=1.0, show_default=True, help="For each candidate of a case.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The results.")
def main(
    models: tuple[str, ...], batches: tuple[int, ...], threads: int, seconds: float, out: Path
) -> None:
    """Measure the inference of models at several batch sizes."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    warnings.filterwarnings("ignore")
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for name in models:
            model = zoo.create_model(name).eval().requires_grad_(requires_grad=False)
            for batch in batches:
                low, high = model.value_range
                x = torch.rand(batch, *model.image_shape) * (high - low) + low
                own = [zoo.Inference(model), zoo.Inference(model, "fp32"), zoo.Inference(model)]
                with patch.object(openvino_program, "is_installed", return_value=False):
                    own[2](x)  # which chooses
                calls = rivals(model, x, Path(folder))
                calls |= {who: partial(run, x) for who, run in zip(OURS, own, strict=True)}
                found = summary(time_in_turns(calls, seconds))
                chosen = [repr(run) for run in own]
                cases.append({"model": name, "batch": batch, "chosen": chosen, **found})
                click.echo(json.dumps(cases[-1]), err=True)
    document = {
        "device_name": cpu_name(),
        "threads": threads,
        "torch": torch.__version__,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "cases": cases,
    }
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    names = list(cases[0]["median_ms"])
    click.echo(f"| model | batch | {' | '.join(names)} | best rival / ours |")
    click.echo("|---|" + "--:|" * (len(names) + 2))
    for case in cases:
        figures = " | ".join(f"{case['median_ms'][name]:.3g}" for name in names)
        ratio = f"{case['best_rival_over_ours']:.2f}"
        click.echo(f"| {case['model']} | {case['batch']} | {figures} | {ratio} |")


if __name__ == "__main__":
    main()
