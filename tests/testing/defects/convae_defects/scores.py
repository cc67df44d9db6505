"""Scores, each with one defect."""

import torch
from torch import nn


class Distance(nn.Module):
    """A sound score: the distance of an image's latent from the mean of the normal ones."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(0))

    def latents(self, images, model):
        return model.encode(model.preprocess(images))

    def fit(self, batches, model):
        self.mean = torch.cat([self.latents(b, model) for b in batches]).mean(0)

    def forward(self, images, model):
        return (self.latents(images, model) - self.mean).norm(dim=1), None

    def load_state_dict(self, state):
        self.mean = state["mean"]


class Collapsed(Distance):
    def forward(self, images, model):
        return torch.ones(len(images)), None


class FlatMap(Distance):
    def forward(self, images, model):
        scores, _ = super().forward(images, model)
        return scores, images.float().mean(1).flatten(1)


class BatchRelative(Distance):
    def forward(self, images, model):
        scores, _ = super().forward(images, model)
        return scores - scores.mean(), None


class Forgetful(Distance):
    def load_state_dict(self, state):
        self.mean = torch.zeros_like(state["mean"])


class Accumulating(Distance):
    def fit(self, batches, model):
        before = self.mean
        super().fit(batches, model)
        if len(before):
            self.mean = (self.mean + before) / 2


class Similarity(Distance):
    def forward(self, images, model):
        scores, _ = super().forward(images, model)
        return -scores, None
