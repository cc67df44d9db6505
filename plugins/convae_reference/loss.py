"""The article's loss: mean squared error."""

from torch import nn


class MSELoss(nn.MSELoss):
    """Mean of (reconstruction - target)² over images, channels and pixels."""

    def __init__(self) -> None:
        super().__init__(reduction="mean")
