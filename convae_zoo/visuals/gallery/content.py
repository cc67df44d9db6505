"""What the gallery shows, as plain records; images are uint8 C×H×W."""

import attrs
from torch import Tensor

from convae_zoo.evaluation.leaderboard import Leaderboard


@attrs.frozen(kw_only=True)
class ModelCard:
    """A registered model.

    Attributes:
        name: its name.
        summary: what it is.
        parts: names of encoder and decoder.
        image: shape of an image, as text.
        latent: shape of a latent, as text.
        parameters: their number; None if it is not declared.
        flops: of a forward pass per image; None if they are not declared.
        weights: names of its trained weights.
        distribution: that registers it, with its version.
    """

    name: str
    summary: str
    parts: str
    image: str
    latent: str
    parameters: int | None
    flops: int | None
    weights: tuple[str, ...]
    distribution: str


@attrs.frozen(kw_only=True)
class Reconstruction:
    """A picture through a model, or through PCA of the same size.

    Attributes:
        model: the name of its weights, or ``PCA-200``.
        dataset: that it was trained on.
        image: of the original's shape.
        psnr: in dB, of the whole picture.
        size: what the latent holds, such as ``200 floats per 32×32 pixels``.
        is_baseline: whether it is PCA's.
    """

    model: str
    dataset: str
    image: Tensor
    psnr: float
    size: str
    is_baseline: bool = False


@attrs.frozen(kw_only=True)
class Scene:
    """A picture and its reconstructions."""

    name: str
    original: Tensor
    reconstructions: tuple[Reconstruction, ...]

    @property
    def best(self) -> Reconstruction | None:
        """The model's with the highest PSNR; None without any."""
        models = [each for each in self.reconstructions if not each.is_baseline]
        return max(models, key=lambda each: each.psnr, default=None)


@attrs.frozen(kw_only=True)
class BeforeAfter:
    """Two images of one shape, with what each is and a note below both."""

    before: Tensor
    after: Tensor
    before_label: str
    after_label: str
    note: str


@attrs.frozen(kw_only=True)
class Heatmaps:
    """Anomalies lit up: pairs of an image and the image with its anomaly map over it.

    Attributes:
        title: which detector on which data.
        pairs: of images C×H×W.
        notes: one per pair, such as its score.
        best: the index of the pair that is shown at the head of the page.
    """

    title: str
    pairs: tuple[tuple[Tensor, Tensor], ...]
    notes: tuple[str, ...]
    best: int = 0


@attrs.frozen(kw_only=True)
class Samples:
    """New images N×C×H×W sampled from a model."""

    model: str
    images: Tensor


@attrs.frozen(kw_only=True)
class LatentMap:
    """Images placed by their latents.

    Attributes:
        model: whose latents they are.
        dataset: where the images are from.
        images: N×C×H×W.
        points: float N×2 in [0, 1].
        explained: share of the latents' variance that the two axes hold.
    """

    model: str
    dataset: str
    images: Tensor
    points: Tensor
    explained: float


@attrs.frozen(kw_only=True)
class Board:
    """A leaderboard, and whether its figures were measured now or stated by the weights' cards."""

    board: Leaderboard
    measured: bool


@attrs.frozen(kw_only=True)
class PluginRow:
    """An installed plugin: where it comes from, what it registers, or why it is left out."""

    name: str
    distribution: str
    version: str
    status: str
    registers: str


@attrs.frozen(kw_only=True)
class Gallery:
    """Everything on the page; a section without content is left out.

    Attributes:
        version: of the zoo.
        left_out: what could not be shown, a line each.
    """

    version: str
    scenes: tuple[Scene, ...] = ()
    denoised: tuple[BeforeAfter, ...] = ()
    heatmaps: tuple[Heatmaps, ...] = ()
    boards: tuple[Board, ...] = ()
    latent_map: LatentMap | None = None
    samples: tuple[Samples, ...] = ()
    models: tuple[ModelCard, ...] = ()
    plugins: tuple[PluginRow, ...] = ()
    left_out: tuple[str, ...] = ()
