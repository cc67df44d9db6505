"""Corruptions, each with one defect."""

import torch


def noisy(images, noise):
    return (images + 25 * noise).clamp(0, 255).round().to(torch.uint8)


def even_sizes():
    def corrupt(images, generator):
        height, width = (side // 2 * 2 for side in images.shape[-2:])
        return images[..., :height, :width]

    return corrupt


def in_place():
    def corrupt(images, generator):
        return images.copy_(255 - images)

    return corrupt


def own_randomness():
    def corrupt(images, generator):
        return noisy(images, torch.randn(images.shape))

    return corrupt


def unused_noise():
    def corrupt(images, generator):
        torch.randn(images.shape, generator=generator)
        return 255 - images

    return corrupt


def shared_noise():
    def corrupt(images, generator):
        return noisy(images, torch.randn(images.shape[1:], generator=generator))

    return corrupt


def doubles():
    def corrupt(images, generator):
        return images.double()

    return corrupt


def only_uint8():
    def corrupt(images, generator):
        return 255 - images.view(torch.uint8).reshape(images.shape)

    return corrupt


class WrongSigma:
    def __call__(self, images, generator):
        return self.with_sigma(images, generator)[0]

    def with_sigma(self, images, generator):
        noise = 25 * torch.randn(images.shape, generator=generator)
        return images + noise, torch.ones(len(images))
