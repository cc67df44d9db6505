"""The gallery's page: its chart, its pictures, its sections."""

import base64
import io

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convae_zoo.evaluation.leaderboard import Leaderboard, PcaPoint, Row
from convae_zoo.evaluation.metrics import Metrics
from convae_zoo.visuals.gallery import BeforeAfter, Board, Gallery, Heatmaps, ModelCard, render
from convae_zoo.visuals.gallery.chart import HEIGHT, WIDTH, chart
from convae_zoo.visuals.gallery.page import exact_uri


def board(points, pca=()):
    def metrics(psnr):
        return Metrics(mse=0.01, mse_in_range=0.04, psnr=psnr, ssim=None)

    return Leaderboard(
        dataset="photos",
        split="val",
        images=10,
        rows=tuple(
            Row(
                name=f"model-{number}",
                latent_floats=floats,
                parameters=7,
                flops=3,
                metrics=metrics(psnr),
                pca_mse=None,
            )
            for number, (floats, psnr) in enumerate(points)
        ),
        pca=tuple(PcaPoint(latent_floats=n, flops=n, metrics=metrics(p)) for n, p in pca),
    )


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 100)), min_size=1, max_size=8))
def test_every_dot_is_inside_of_the_chart(points):
    plot = chart(board(points), "latent_floats")
    assert len(plot["marks"]) == len(points)
    for mark in plot["marks"]:
        assert plot["left"] <= mark.x <= WIDTH
        assert 0 <= mark.y <= HEIGHT
    assert plot["y_ticks"]


def test_labels_of_models_of_one_size_do_not_lie_on_one_another():
    marks = chart(board([(200, 30.0), (200, 30.01), (200, 30.02)]), "latent_floats")["marks"]
    heights = sorted(mark.label_y for mark in marks)
    assert np.diff(heights).min() >= 15


def test_a_picture_comes_back_exactly():
    image = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    head, _, data = exact_uri(image).partition(",")
    assert head == "data:image/webp;base64"
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert (decoded == image.permute(1, 2, 0).numpy()).all()


def test_a_section_without_content_is_left_out():
    page = render(Gallery(version="1"))
    for section in ("pictures", "denoise", "anomalies", "samples", "leaderboard", "latents"):
        assert f'id="{section}"' not in page
        assert f'href="#{section}"' not in page


def test_every_section_shows_its_content():
    image = torch.zeros(3, 4, 6, dtype=torch.uint8)
    labels = {"before_label": "noisy", "after_label": "clean", "note": "25 → 31 dB"}
    page = render(
        Gallery(
            version="1",
            denoised=(BeforeAfter(before=image, after=image, **labels),),
            heatmaps=(Heatmaps(title="scratches", pairs=((image, image),), notes=("score 3",)),),
            boards=(Board(board=board([(200, 30.0)], [(100, 20), (200, 25)]), measured=True),),
            models=(
                ModelCard(
                    name="mine",
                    summary="small",
                    parts="a + b",
                    image="3×8×8",
                    latent="4",
                    parameters=1_786_795,
                    flops=None,
                    weights=(),
                    distribution="mine 1",
                ),
            ),
        )
    )
    for text in ("25 → 31 dB", "aspect-ratio: 6 / 4", "scratches", "score 3", "1.79 M", "30.00 dB"):
        assert text in page
    assert "measured on this machine" in page
    assert "not yet" in page
