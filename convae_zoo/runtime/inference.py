"""Inference: reconstruct as fast as the machine allows."""

import copy

import torch
from torch import Tensor, nn

from convae_zoo.errors import device_failures
from convae_zoo.layers import fuse
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.memory import fastest_layout, keep_freed_memory
from convae_zoo.runtime.modes import check_model, cpu_by_default
from convae_zoo.runtime.precision import choose_precision


class Inference(nn.Module):
    """A frozen copy of a model that reconstructs faster; the model itself stays as it is.

    Images and reconstructions are float32 N×C×H×W in the model's value range, as the model's own.

    Args:
        model: what is copied.
        precision: ``fp32`` agrees with the model to rounding, ``bf16`` to about 1% of the value
            range, ``auto`` is bf16 where that is faster.

    Raises:
        UsageError: it is no model that can reconstruct.
        ConfigError: the precision is none of these.
    """

    def __init__(self, model: Autoencoder, precision: str = "auto") -> None:
        super().__init__()
        check_model(model)
        self.precision = precision = choose_precision(precision, model.device)
        self.model = copy.deepcopy(model).float().eval().requires_grad_(requires_grad=False)
        with cpu_by_default():
            self._layout = fastest_layout(self.model)
        self.model.to(memory_format=self._layout)
        if precision == "bf16":
            for layer in self.model.modules():
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                    layer.to(torch.bfloat16)
        if model.device.type == "cpu":
            if self._layout == torch.channels_last:
                fuse(self.model)
            keep_freed_memory()

    @torch.inference_mode()
    def forward(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Reconstruct images N×C×H×W; the same shape comes back, float32.

        Args:
            x: images in the model's value range.
            sigma: as the model takes it, N.
        """
        x = x.float().contiguous(memory_format=self._layout)
        bf16 = self.precision == "bf16"
        with (
            device_failures(f"running {self.model.name} on {x.device}"),
            torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=bf16),
        ):
            reconstruction: Tensor = self.model(x, sigma)
        return reconstruction.float()

    def __repr__(self) -> str:
        """Return the model's name and where it runs; its layers are fused copies."""
        return f"Inference({self.model.name}, {self.precision}, {self.model.device})"
