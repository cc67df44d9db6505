"""Trained models loaded without the zoo: PyTorch's layers and safetensors' `load_file`.

This is the least that a program can do to use stored weights, and what ``load_model`` from a cold
process is measured against. Imports nothing but torch and safetensors.
"""

from safetensors.torch import load_file
from torch import nn


def load(name: str, path: str) -> nn.Module:
    """Build a model without initial weights, and copy those of a file into it."""
    for layer in (nn.Linear, nn.modules.conv._ConvNd):  # noqa: SLF001 - of all convolutions
        layer.reset_parameters = lambda _: None
    model = MODELS[name]()
    model.load_state_dict(load_file(path))
    return model.eval()


def _convae_200() -> nn.Module:
    def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
        return nn.Conv2d(inputs, outputs, 3, stride, 1)

    def transposed(inputs: int, outputs: int, stride: int = 1) -> nn.ConvTranspose2d:
        return nn.ConvTranspose2d(inputs, outputs, 3, stride, 1, stride - 1)

    down = [conv(3, 16), conv(16, 16), conv(16, 32, 2), conv(32, 32), conv(32, 64, 2), conv(64, 64)]
    up = [transposed(64, 64), transposed(64, 32, 2), transposed(32, 32), transposed(32, 16, 2)]
    up += [transposed(16, 16), transposed(16, 3)]
    encoder, decoder = nn.Module(), nn.Module()
    encoder.net = nn.Sequential(
        *(layer for each in down for layer in (each, nn.ReLU())),
        nn.Flatten(),
        nn.Linear(4096, 200),
        nn.ReLU(),
    )
    decoder.linear = nn.Sequential(nn.Linear(200, 4096), nn.ReLU())
    decoder.conv = nn.Sequential(*[layer for each in up for layer in (each, nn.ReLU())][:-1])
    return nn.ModuleDict({"encoder": encoder, "decoder": decoder})


def _linear_residual_200() -> nn.Module:
    def block() -> nn.Module:
        block = nn.Module()
        convolutions = (nn.Conv2d(48, 48, 3, padding=1) for _ in range(2))
        block.branch = nn.Sequential(
            *(layer for each in convolutions for layer in (nn.Identity(), nn.SiLU(), each))
        )
        return block

    def dense() -> nn.Module:
        block = nn.Module()
        block.activation, block.linear = nn.SiLU(), nn.Linear(512, 512)
        return block

    encoder, decoder = nn.Module(), nn.Module()
    encoder.linear, decoder.linear = nn.Linear(3072, 200), nn.Linear(200, 3072)
    encoder.nonlinear = nn.Sequential(
        nn.PixelUnshuffle(4),
        nn.Conv2d(48, 48, 3, padding=1),
        block(),
        block(),
        nn.Flatten(),
        nn.Linear(3072, 512),
        dense(),
        nn.SiLU(),
        nn.Linear(512, 200),
    )
    decoder.dense = nn.Sequential(nn.Linear(200, 512), dense(), nn.SiLU(), nn.Linear(512, 3072))
    decoder.unflatten = nn.Unflatten(1, (3, 32, 32))
    decoder.refine = nn.Sequential(
        nn.PixelUnshuffle(2),
        nn.Conv2d(12, 48, 3, padding=1),
        block(),
        block(),
        nn.SiLU(),
        nn.Conv2d(48, 12, 3, padding=1),
        nn.PixelShuffle(2),
    )
    return nn.ModuleDict({"encoder": encoder, "decoder": decoder})


MODELS = {"convae-200": _convae_200, "linear-residual-200": _linear_residual_200}
