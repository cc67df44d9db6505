"""One candidate of the whole run, in a process of its own: ``python -m benchmarks.candidate NAME``.

Trains on the same noise for two epochs and prints the seconds of each as JSON. In separate
processes no candidate inherits the memory, threads or chosen kernels of another.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks import article
from convae_zoo.bench.timing import peak_bytes

EPOCHS = 2


def noise(count: int) -> Tensor:
    """Draw uint8 images count×3×32×32, the same each time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)


def run_article(images: Tensor, device: torch.device, batch_size: int) -> tuple[list[float], str]:
    """Train the article's network in the article's loop."""
    model = article.network()
    times = article.train(model, images, epochs=EPOCHS, batch_size=batch_size, device=device)
    return list(times), "fp32"


def run_zoo(
    images: Tensor, device: torch.device, batch_size: int, precision: str = "auto"
) -> tuple[list[float], str]:
    """Train with ``zoo.train``."""
    import convae_zoo as zoo
    from convae_zoo.data import ImageSet
    from convae_zoo.runtime.precision import bf16_is_faster

    result = zoo.train(
        "convae-200",
        dataset=(
            ImageSet(name="noise", split="train", images=images),
            ImageSet(name="noise", split="val", images=images[:batch_size]),
        ),
        epochs=EPOCHS,
        batch_size=batch_size,
        precision=precision,
        device=str(device),
        progress=False,
    )
    if precision == "auto":
        precision = "bf16" if bf16_is_faster(device) else "fp32"
    return [e.seconds for e in result.epochs], precision


def run_zoo_fp32(images: Tensor, device: torch.device, batch_size: int) -> tuple[list[float], str]:
    """Train with ``zoo.train`` in fp32."""
    return run_zoo(images, device, batch_size, "fp32")


def run_pythae(images: Tensor, device: torch.device, batch_size: int) -> tuple[list[float], str]:
    """Train pythae's AE with the article's network in pythae's trainer."""
    from pythae.models import AE, AEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    encoder_net, decoder_net = article.network()

    class Encoder(BaseEncoder):  # type: ignore[misc]  # pythae has no types
        def __init__(self) -> None:
            super().__init__()
            self.net = encoder_net
            self.latent_dim = 200

        def forward(self, x: Tensor) -> Any:
            return ModelOutput(embedding=self.net(x))

    class Decoder(BaseDecoder):  # type: ignore[misc]  # pythae has no types
        def __init__(self) -> None:
            super().__init__()
            self.net = decoder_net

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.net(z))

    class Clock(TrainingCallback):  # type: ignore[misc]  # pythae has no types
        def __init__(self) -> None:
            self.seconds: list[float] = []

        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            self.started = time.perf_counter()

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            self.seconds.append(time.perf_counter() - self.started)

    class Images(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int) -> Any:
            from pythae.data.datasets import DatasetOutput

            return DatasetOutput(data=pictures[index])

    pictures = article.Pictures(images)
    model = AE(AEConfig(input_dim=(3, 32, 32), latent_dim=200), Encoder(), Decoder())
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=EPOCHS,
            per_device_train_batch_size=batch_size,
            learning_rate=1e-3,
            optimizer_cls="Adam",
            no_cuda=device.type == "cpu",
        )
        BaseTrainer(model, Images(), training_config=config, callbacks=[clock]).train()
    return clock.seconds, "fp32"


CANDIDATES: dict[str, Callable[[Tensor, torch.device, int], tuple[list[float], str]]] = {
    "article": run_article,
    "pythae": run_pythae,
    "zoo": run_zoo,
    "zoo-fp32": run_zoo_fp32,
}


def main() -> None:
    """Run one candidate and print its times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=CANDIDATES)
    parser.add_argument("--images", type=int, default=3200)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device = torch.device(options.device)
    epochs, precision = CANDIDATES[options.name](noise(options.images), device, options.batch_size)
    print(json.dumps({"epochs": epochs, "precision": precision, "peak_bytes": peak_bytes(device)}))


if __name__ == "__main__":
    main()
