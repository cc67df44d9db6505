"""Losses, each with one defect."""

import torch
from torch import nn


class Vector(nn.Module):
    def forward(self, reconstruction, target):
        return (reconstruction - target).square().flatten(1).mean(1)


class OneTooMuch(nn.Module):
    def forward(self, reconstruction, target):
        return (reconstruction - target).square().mean() + 1


class Root(nn.Module):
    def forward(self, reconstruction, target):
        return (reconstruction - target).square().mean().sqrt()


class Lopsided(nn.Module):
    def forward(self, reconstruction, target):
        return ((reconstruction - target).square() * (2 + target)).mean()


class Half(nn.Module):
    def forward(self, reconstruction, target):
        difference = reconstruction - target
        if difference.dtype == torch.float32:
            difference = difference.bfloat16()
        return difference.square().mean()
