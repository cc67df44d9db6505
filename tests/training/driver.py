"""A training run in a process of its own: ``python driver.py SETTINGS_JSON``.

Trains on images that are drawn anew from one seed, so that every process has the same.
"""

import json
import sys
from pathlib import Path

import torch

import convae_zoo as zoo
from convae_zoo.data import ImageSet
from convae_zoo.errors import ZooError
from convae_zoo.training import loop


def images(count: int, split: str, seed: int) -> ImageSet:
    """Draw images 3×8×8 with five labels."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator)
    return ImageSet(name="noise", split=split, images=pixels, labels=torch.arange(count) % 5)


def communicating() -> list[str]:
    """Name this process's threads that talk to other processes."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return [name for name in names if "gloo" in name]


def main() -> int:
    """Train as the settings say; print the losses as JSON, and the threads that are left."""
    torch.set_num_threads(1)
    settings = json.loads(sys.argv[1])
    loop.READ_EVERY = settings.pop("read_every", loop.READ_EVERY)
    count = settings.pop("count", 203)
    try:
        result = zoo.train(
            settings.pop("model", "convae-200"),
            dataset=(images(count, "train", 0), images(30, "val", 1)),
            overrides={"width": 4, "latent_dim": 16, "image_size": 8},
            device="cpu",
            **{"precision": "fp32", "batch_size": 16, **settings},
        )
    except ZooError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_status
    losses = {"train": result.train_losses, "val": result.val_losses}
    sys.stdout.write(json.dumps({**losses, "threads": communicating()}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
