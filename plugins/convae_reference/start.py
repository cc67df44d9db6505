"""Start values of the article: Xavier-uniform weights, bias 0.01."""

from torch import nn


def start(module: nn.Module) -> None:
    """Set a Conv2d's or Linear's start values; ConvTranspose2d keeps PyTorch's own."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.constant_(module.bias, 0.01)
