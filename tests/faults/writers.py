"""The commands that write, on small inputs, each in two variants that write other bytes."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import attrs
import torch

import convae_zoo as zoo
from convae_zoo.cli import main
from convae_zoo.registry.specs import DatasetSpec, ModelSpec, Recipe, WeightsSpec
from latent_files import write_images
from tiny_runs import comparable, image_set

SIZES = {"width": 4, "latent_dim": 8, "image_size": 8}
NO_TRAINING = ("--no-train", "--score", "reconstruction", "--alarm-rate", "0.3", "--device", "cpu")
"""Options of ``detect fit`` that make it write a detector at once."""

RECIPE = Recipe(epochs=2, batch_size=8, precision="fp32")


@attrs.frozen
class Writer:
    """A command that writes.

    Attributes:
        name: of the command.
        run: writes into the given path in variant 0 or 1; returns the exit status.
        output: the name of what it writes.
        folder: whether that is a folder.
        is_run: whether it is a run folder, in which only what is measured in seconds may differ.
        resumes: whether a second call goes on with what the first has left.
    """

    name: str
    run: Callable[[str, int], int]
    output: str
    folder: bool = False
    is_run: bool = False
    resumes: bool = False

    def content(self, path: Path) -> object:
        """Return what must be equal in equal results."""
        if self.is_run:
            return comparable(path)
        if self.name == "retrain --store":  # its metadata hold the seconds that training took
            return {p.name: _weights_or_metrics(p) for p in _files(path)}
        found = [path] if path.is_file() else _files(path)
        return {p.relative_to(path).as_posix(): p.read_bytes() for p in found}


def _files(folder: Path) -> list[Path]:
    """List the files of a folder but those that a killed process left half-written, and locks."""
    found = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return [p for p in found if not p.name.startswith((".tmp-", ".lock-"))]


def _weights_or_metrics(path: Path) -> object:
    """Return what a stored weights file and its index hold beside the time that training took."""
    if path.suffix == ".json":
        entries = json.loads(path.read_text())["weights"]
        return {name: entry["metrics"] for name, entry in entries.items()}
    return {name: value.tolist() for name, value in zoo.load_model(path).state_dict().items()}


class Waves:
    """A plugin with a dataset and a model that registers two tags."""

    @zoo.hookimpl
    def register_datasets(self, register):
        register(DatasetSpec(name="noise", factory=_noise))

    @zoo.hookimpl
    def register_models(self, register):
        tags = [
            WeightsSpec(tag=tag, dataset="noise", recipe=attrs.evolve(RECIPE, seed=seed))
            for seed, tag in enumerate(("first", "second"))
        ]
        sizes = {"encoder_config": SIZES, "decoder_config": SIZES}
        register(ModelSpec(name="small", encoder="convae", decoder="convae", weights=tags, **sizes))


def _noise(split):
    return image_set({"train": 24, "val": 8}[split], split)


def _command(*call: str, variants: Sequence[Mapping[str, str]] = ()) -> Callable[[str, int], int]:
    """Run a call into OUT; what the variants map, and SEED, TAG and NAME, are the variant's."""
    words = call if "OUT" in call else (*call, "--out", "OUT")

    def run(out: str, variant: int = 0) -> int:
        own = {"OUT": out, "SEED": str(variant), "TAG": ("small.first", "small.second")[variant]}
        own |= {"NAME": ("alpha-ae", "beta-ae")[variant]}
        own |= variants[variant] if variants else {}
        return main([own.get(word, word) for word in words])

    return run


def training_writers(images: Path) -> list[Writer]:
    """List the commands that train; `Waves` must be installed."""
    sizes = [word for name, size in SIZES.items() for word in ("--set", f"{name}={size}")]
    data = ("--dataset", "image-folder", "--data", str(images))
    train = ("train", "convae-200", *data, *sizes, "--seed", "SEED", "--device", "cpu")
    train += ("--epochs", "3", "--batch-size", "8", "--precision", "fp32")
    train += ("--checkpoint-every", "2", "--resume")
    run = {"folder": True, "is_run": True, "resumes": True}
    return [
        Writer("train", _command(*train), "run", **run),
        Writer("retrain --out", _command("retrain", "TAG", "--resume"), "run", **run),
        Writer("retrain --store", _command("retrain", "TAG", "--store", "OUT"), "w", folder=True),
    ]


def write_layout(root: Path) -> Path:
    """Write images in the layout of MVTec AD, without masks, and return the folder."""
    for name, count in (("train/good", 6), ("test/good", 3), ("test/bad", 3)):
        write_images(root / name, count)
    return root


def writers(inputs: Path) -> list[Writer]:
    """Write the inputs of all commands into a folder, and list the commands.

    `Waves` must be installed.
    """
    images = inputs / "images"
    write_images(images, 24)
    layout = str(write_layout(inputs / "layout"))
    models, latents, detectors = [], [], []
    for seed in (0, 1):
        torch.manual_seed(seed)
        models.append(str(inputs / f"model-{seed}.safetensors"))
        zoo.save_model(zoo.create_model("variational-200", **SIZES), models[-1])
        latents.append(str(inputs / f"latents-{seed}"))
        assert main(["encode", models[-1], str(images), "--out", latents[-1]]) == 0
        detectors.append(str(inputs / f"detector-{seed}.safetensors"))
        fit = ["detect", "fit", models[-1], *NO_TRAINING, "--data", str(images)]
        assert main([*fit, "--out", detectors[-1]]) == 0
    data = ("--dataset", "image-folder", "--data", str(images))
    image = str(images / "00000.png")

    variants = [
        {"MODEL": m, "LATENTS": z, "DETECTOR": d}
        for m, z, d in zip(models, latents, detectors, strict=True)
    ]
    command = partial(_command, variants=variants)

    def save(out: str, variant: int = 0) -> int:
        zoo.save_model(zoo.load_model(models[variant]), out, dtype="fp16")
        return 0

    encode = command("encode", "MODEL", str(images), "--overwrite")
    decode = command("decode", "MODEL", "LATENTS")
    measure = ("--dataset", "anomaly-folder", "--data", layout, "--no-baseline")
    return [
        *training_writers(images),
        Writer("encode", encode, "latents"),
        Writer("decode", decode, "decoded", folder=True, resumes=True),
        Writer(
            "export", command("export", "MODEL", "--format", "torch-export", "--overwrite"), "m.pt2"
        ),
        Writer("compare", command("compare", "MODEL", *data, "--overwrite"), "a.png"),
        Writer("reconstruct", command("reconstruct", "MODEL", image, "--overwrite"), "a.png"),
        Writer(
            "denoise",
            command("denoise", "MODEL", str(images), "--overwrite"),
            "denoised",
            folder=True,
        ),
        Writer("sample", command("sample", "MODEL", "--overwrite"), "a.png"),
        Writer("leaderboard", command("leaderboard", "MODEL", *data, "--overwrite"), "a.png"),
        Writer(
            "detect fit",
            command("detect", "fit", "MODEL", *NO_TRAINING, "--data", str(images), "--overwrite"),
            "d.safetensors",
        ),
        Writer(
            "detect run",
            command("detect", "run", "DETECTOR", str(images), "--overwrite"),
            "found",
            folder=True,
        ),
        Writer(
            "detect evaluate",
            command("detect", "evaluate", "DETECTOR", *measure, "--overwrite"),
            "drawn",
            folder=True,
        ),
        Writer("pull --out", command("pull", "convae-200.photos", "--overwrite"), "w.safetensors"),
        Writer("new-plugin", command("new-plugin", "NAME", "OUT"), "plugin", folder=True),
        Writer("save_model", save, "m.safetensors"),
    ]


def fresh(folder: Path, writer: Writer) -> Path:
    """Empty a folder but for an old file in the place of the command's, which is returned."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    out = folder / writer.output
    if not writer.folder:
        out.write_bytes(b"old")
    return out
