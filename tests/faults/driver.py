"""Runs each writing command with a fault at its write boundaries, in forked processes.

Usage: driver.py FOLDER few|all|COMMAND, with shim.c preloaded; detect is each of its subcommands.
Prints one JSON list of what was tried, with the problems that were found.
"""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import torch
import training
from injection import FAULTS, Ended, boundaries, child
from writers import NO_TRAINING, Waves, write_layout

import convae_zoo as zoo
from convae_zoo import registry
from convae_zoo.cli import main
from latent_files import write_images

torch.set_num_threads(1)

Files = dict[str, bytes]


@attrs.frozen
class Case:
    """A command, what it writes, and how many write boundaries of each fault are tried by default.

    Pictures are all written by one function, so by default one command stands for them.
    """

    name: str
    run: Callable[[str], int]
    output: str
    few: int = 1
    folder: bool = False


class Bench:
    """A folder of inputs, and one of outputs in which faults happen."""

    def __init__(self, root: Path) -> None:
        self.inputs, self.outputs = root / "in", root / "out"
        write_images(self.inputs / "images", 6)
        torch.manual_seed(0)
        settings = {"width": 4, "latent_dim": 8, "image_size": 8}
        model = zoo.create_model("variational-200", **settings)
        self.model = str(self.inputs / "model.safetensors")
        model.corruption = "gaussian"  # without one denoise warns
        zoo.save_model(model, self.model)
        self.latents = str(self.inputs / "z.safetensors")
        assert main(["encode", self.model, self.images, "--out", self.latents]) == 0
        self.detector = str(self.inputs / "detector.safetensors")
        fit = ["detect", "fit", self.model, *NO_TRAINING, "--data", self.images]
        assert main([*fit, "--out", self.detector]) == 0
        self.layout = str(write_layout(self.inputs / "layout"))

    @property
    def images(self) -> str:
        return str(self.inputs / "images")

    def cases(self) -> list[Case]:
        image = f"{self.images}/00000.png"
        data = ("--dataset", "image-folder", "--data", self.images, "--overwrite")

        def command(*call: str) -> Callable[[str], int]:
            return lambda out: main([*call, "--out", out])

        def save(out: str) -> int:
            zoo.save_model(zoo.load_model(self.model), out, dtype="fp16")
            return 0

        encode = ("encode", self.model, self.images, "--overwrite", "--dtype", "fp16")
        reconstruct = ("reconstruct", self.model, "--overwrite")
        denoise = ("denoise", self.model, "--overwrite")
        fit = ("detect", "fit", self.model, *NO_TRAINING, "--data", self.images, "--overwrite")
        measure = (
            "--dataset",
            "anomaly-folder",
            "--data",
            self.layout,
            "--no-baseline",
            "--overwrite",
        )
        return [
            Case("encode", command(*encode), "z.safetensors", few=3),
            Case("decode", command("decode", self.model, self.latents), "d", few=3, folder=True),
            Case(
                "export",
                command("export", self.model, "--format", "torch-export", "--overwrite"),
                "m.pt2",
            ),
            Case("compare", command("compare", self.model, *data), "a.png"),
            Case("reconstruct", command(*reconstruct, image), "a.png", few=0),
            Case("denoise", command(*denoise, self.images), "d", few=3, folder=True),
            Case("sample", command("sample", self.model, "--overwrite"), "a.png", few=0),
            Case("leaderboard", command("leaderboard", self.model, *data), "a.png", few=0),
            Case("detect fit", command(*fit), "d.safetensors"),
            Case(
                "detect run",
                command("detect", "run", self.detector, self.images, "--overwrite"),
                "found",
                folder=True,
            ),
            Case(
                "detect evaluate",
                command("detect", "evaluate", self.detector, *measure),
                "drawn",
                few=0,
                folder=True,
            ),
            Case("save_model", save, "m.safetensors", few=3),
        ]

    def fresh(self, case: Case) -> Files:
        """Empty the outputs but for an old file in the place of the command's."""
        shutil.rmtree(self.outputs, ignore_errors=True)
        self.outputs.mkdir(parents=True)
        if not case.folder:
            (self.outputs / case.output).write_bytes(b"old")
        return self.files()

    def files(self) -> Files:
        found = (p for p in self.outputs.rglob("*") if p.is_file())
        return {p.relative_to(self.outputs).as_posix(): p.read_bytes() for p in found}

    def child(self, case: Case, nth: int, fault: int) -> Ended:
        out = str(self.outputs / case.output)
        return child(lambda: case.run(out), self.outputs, self.inputs, nth, fault)


def problems(old: Files, new: Files, after: Files, status: int, told: str, fault: str) -> list[str]:
    """Say what is wrong with the files after a fault, and with how it was told."""
    found = [
        f"{name} is neither the old file nor the new one"
        for name in new
        if after.get(name) not in {old.get(name), new[name]}
    ]
    may_stay = fault in {"SIGKILL", "EROFS"}  # nothing can be removed any more
    for name in after.keys() - new.keys():
        hidden = Path(name).name.startswith((".tmp-", ".lock-"))
        if not (".parts/" in name and not hidden) and not (hidden and may_stay):
            found.append(f"{name} was left behind")
    if fault == "SIGKILL":
        return found
    if status not in {0, 1}:
        found.append(f"status {status}")
    if status == 1 and not (told.startswith("error: ") and told.count("\n") == 1):
        found.append(f"told {told!r}")
    if "a bug in the zoo" in told:
        found.append(f"told {told!r}")
    return found


def run(bench: Bench, which: str) -> list[dict[str, object]]:
    everything = which != "few"
    tried: list[dict[str, object]] = []
    for case in bench.cases():
        if which not in {"all", case.name, case.name.partition(" ")[0]} and not (
            which == "few" and case.few
        ):
            continue
        case.run(str(bench.inputs / f"warm-{case.output}"))  # so that no child imports anything
        bench.fresh(case)
        status, told, count = bench.child(case, -1, 0)
        new = bench.files()
        assert status == 0, (case.name, told)
        for number, (fault, code) in enumerate(FAULTS.items()):
            for nth in range(count) if everything else boundaries(count, number, case.few):
                old = bench.fresh(case)
                status, told, _ = bench.child(case, nth, code)
                found = problems(old, new, bench.files(), status, told, fault)
                status, told, _ = bench.child(case, -1, 0)
                if status != 0:
                    found.append(f"started again: {told}")
                elif {n: c for n, c in bench.files().items() if not is_hidden(n)} != new:
                    found.append("started again, it gave other files")
                at = {"command": case.name, "fault": fault, "at": nth, "of": count}
                tried.append({**at, "problems": found})
    return tried


def is_hidden(name: str) -> bool:
    return Path(name).name.startswith((".tmp-", ".lock-"))


if __name__ == "__main__":
    folder, which = Path(sys.argv[1]), sys.argv[2]
    with registry.override(plugins=[Waves()]):  # first: torch.export starts autograd's threads
        done = training.run(folder / "training", which)
    done += run(Bench(folder), which)
    print(f"\n{json.dumps(done)}")
