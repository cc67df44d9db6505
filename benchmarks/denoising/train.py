"""Train the blind denoiser: ``python -m benchmarks.denoising.train FOLDER --minutes 90 --out RUN``.

FOLDER is what `benchmarks.denoising.photographs` makes. RUN/checkpoint.safetensors is written every
three minutes and where the run ends; the same command with --resume goes on from it. The learning
rate is constant at first and falls to zero by the clock, so a run takes the time that it is given
whatever else the machine does. RUN/model.safetensors is the mean of the weights over the last
steps, as the zoo stores a model.

Beside `zoo.train` this has the mean of the weights, changes of colour, and a loss that weighs all
noise levels alike: the root of an image's MSE, which grows as the root of sigma, divided by that.
"""

import json
import time
from pathlib import Path

import click
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import convae_zoo as zoo
from benchmarks.denoising.crops import SIGMA, Crops
from convae_zoo.files import atomic_path
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.memory import keep_freed_memory
from convae_zoo.training.muon import Muon

MODEL = "unet-denoiser"
BATCH, SIZE = 8, 96
LEARNING_RATE, WEIGHT_DECAY, WARMUP = 0.008, 0.2, 100
CONSTANT = 0.25
"""The share of the time at the full learning rate."""
MEAN = 0.999
"""Decay of the mean of the weights."""
OUTLIER = 4
"""A step whose loss is so many times the usual one is left out."""
SAVE_EVERY, PRINT_EVERY = 180, 200


class Run:
    """A model in training, the mean of its weights, and its optimiser.

    Args:
        out: the folder of the checkpoint.
        seed: of the initial weights.
    """

    def __init__(self, out: Path, seed: int) -> None:
        torch.manual_seed(seed)
        self.path = out / "checkpoint.safetensors"
        self.model = zoo.create_model(MODEL).to(memory_format=torch.channels_last)
        self.mean = zoo.create_model(MODEL)
        self.mean.load_state_dict(self.model.state_dict())
        self.optimizer = Muon(self.model.parameters(), weight_decay=WEIGHT_DECAY)
        self.step = 0

    def save(self) -> None:
        """Write the checkpoint."""
        momentum = {
            name: self.optimizer.state[p]["momentum"] for name, p in self.model.named_parameters()
        }
        parts = {"model": self.model.state_dict(), "mean": self.mean.state_dict()}
        tensors = {
            f"{part}.{name}": tensor.contiguous()
            for part, state in (parts | {"momentum": momentum}).items()
            for name, tensor in state.items()
        }
        with atomic_path(self.path) as temporary:
            save_file(tensors, temporary, {"step": str(self.step)})

    def resume(self) -> None:
        """Read the checkpoint."""
        tensors = load_file(self.path)
        for part, module in (("model", self.model), ("mean", self.mean)):
            module.load_state_dict(
                {k.removeprefix(f"{part}."): v for k, v in tensors.items() if k.startswith(part)}
            )
        for name, parameter in self.model.named_parameters():
            self.optimizer.state[parameter]["momentum"] = tensors[f"momentum.{name}"]
        with self.path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        self.step = int(header["__metadata__"]["step"])

    def update(
        self, clean: Tensor, noisy: Tensor, sigma: Tensor, rate: float, limit: float
    ) -> float:
        """Take a step, if the loss is at most `limit`; return the loss."""
        with torch.autocast("cpu", torch.bfloat16):
            output = self.model(noisy.contiguous(memory_format=torch.channels_last))
        mse = (output.float() - clean).square().mean((1, 2, 3))
        loss = (100 * (mse + 1e-6) / (sigma + 3)).sqrt().mean()
        loss.backward()
        value = loss.item()
        if value <= limit:
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
            self.step += 1
            with torch.no_grad():
                _move(self.mean, self.model, 1 - min(MEAN, self.step / (self.step + 9)))
        self.optimizer.zero_grad()
        return value


def _move(mean: Autoencoder, model: nn.Module, share: float) -> None:
    for ours, theirs in zip(mean.parameters(), model.parameters(), strict=True):
        ours.lerp_(theirs, share)


def learning_rate(done: float, steps: int) -> float:
    """Return the learning rate when a share of the time is done, after so many steps."""
    return LEARNING_RATE * min(1, (steps + 1) / WARMUP, (1 - done) / (1 - CONSTANT))


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--minutes", default=90.0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on from OUT's checkpoint.")
@click.option("--seed", default=0, show_default=True)
def main(folder: Path, out: Path, minutes: float, seed: int, *, resume: bool) -> None:
    """Train the denoiser on a folder of clean photographs."""
    out.mkdir(parents=True, exist_ok=True)
    keep_freed_memory()
    run = Run(out, seed)
    if resume:
        run.resume()
    crops = Crops(folder, SIZE, seed + run.step)
    first, begun = run.step, time.monotonic()
    saved, usual = begun, None
    while (done := (time.monotonic() - begun) / (60 * minutes)) < 1:
        limit = float("inf") if usual is None else OUTLIER * usual
        rate = learning_rate(done, run.step - first)
        loss = run.update(*crops.batch(BATCH), rate, limit)
        if loss <= limit:
            usual = loss if usual is None else usual + 0.02 * (loss - usual)
        if run.step % PRINT_EVERY == 0:
            click.echo(f"step {run.step}  loss {usual:.4f}  learning rate {rate:.4f}", err=True)
        if time.monotonic() - saved > SAVE_EVERY:
            run.save()
            saved = time.monotonic()
    run.save()
    run.mean.corruption = f"gaussian(sigma=0:{SIGMA})"
    zoo.save_model(run.mean, out / "model.safetensors")


if __name__ == "__main__":
    main()
