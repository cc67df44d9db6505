"""Encoders, each with one defect."""

import os
import random

import torch
from torch import nn


class Encoder(nn.Module):
    """A sound encoder: one linear layer."""

    def __init__(self, latent_dim=16, image_size=16):
        super().__init__()
        self.linear = nn.Linear(3 * image_size**2, latent_dim)

    def forward(self, x):
        return self.linear(x.flatten(1))


class TwoLayers(Encoder):
    def __init__(self, latent_dim=16, image_size=16, layers=(8, 8)):
        super().__init__(latent_dim, image_size)


class Width(Encoder):
    def __init__(self, latent_dim=16, image_size=16, width=8):
        super().__init__(latent_dim, image_size)


class EvenLatent(Encoder):
    def __init__(self, latent_dim=16, image_size=16):
        super().__init__(latent_dim + latent_dim % 2, image_size)


class PowersOfTwo(Encoder):
    def forward(self, x):
        while x.shape[-1] > 1:
            x = x.unflatten(-1, (-1, 2)).mean(-1)
        return x.flatten(1)[:, :1].expand(-1, self.linear.out_features)


class UnusedLayer(Encoder):
    def __init__(self, latent_dim=16, image_size=16):
        super().__init__(latent_dim, image_size)
        self.forgotten = nn.Linear(2, 2)


class VectorTerm(Encoder):
    def forward_with_terms(self, x):
        latent = self(x)
        return latent, {"kl": latent.square().mean(1)}


class OwnRandomness(Encoder):
    def __init__(self, latent_dim=16, image_size=16):
        super().__init__(latent_dim, image_size)
        nn.init.constant_(self.linear.bias, random.random())


class BatchMean(Encoder):
    def forward(self, x):
        return super().forward(x - x.mean(0))


class HiddenTensor(Encoder):
    def __init__(self, latent_dim=16, image_size=16):
        super().__init__(latent_dim, image_size)
        self.scale = torch.rand(latent_dim)

    def forward(self, x):
        return super().forward(x) * self.scale


class ProcessDependent(Encoder):
    def forward(self, x):
        return super().forward(x) + os.getpid()


class Strided(Encoder):
    def forward(self, x):
        return self.linear(x.as_strided((len(x), x[0].numel()), (x[0].numel(), 1)))


class Cancelling(Encoder):
    def forward(self, x):
        return nn.functional.linear(x.flatten(1), self.linear.weight, self.linear.bias + 1e4) - 1e4


class CompiledDiffers(Encoder):
    def forward(self, x):
        return super().forward(x) * (2 if torch.compiler.is_compiling() else 1)


class ValueDependent(Encoder):
    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)


class Bessel(Encoder):
    def forward(self, x):
        return torch.special.bessel_j0(super().forward(x))


class Raises(Encoder):
    def forward(self, x):
        raise RuntimeError("out\nof luck")


def no_module(latent_dim=16, image_size=16):
    return "a string"
