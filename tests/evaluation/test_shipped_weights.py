"""The trained models that come with the zoo are as good as their cards say."""

import pytest
import torch

import convae_zoo as zoo
from convae_zoo import WeightsSpec
from convae_zoo.registry import find_model
from convae_zoo.tasks.retrain import figures

NAMES = zoo.list_models(pretrained=True)
PRINTED = {"rel": 5e-4, "abs": 5e-5}
"""The digits that are printed."""


def dataset_of(weights: WeightsSpec) -> str:
    """The dataset that the weights' card was measured on."""
    return weights.card["dataset"]["name"]


@pytest.mark.slow
def test_weights_measure_as_their_card_states_with_pca():
    name = "convae-200.photos"
    weights = find_model(name)[1]
    found = figures(zoo.evaluate(zoo.load_model(name), dataset_of(weights), device="cpu"))
    card = weights.metrics
    assert "ratio_to_pca" in found
    assert found == pytest.approx({figure: card[figure] for figure in found}, **PRINTED)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convae-1000.photos", "linear-residual-200.photos"])
def test_the_mse_of_other_weights_is_that_of_their_card(name):
    """A plain loop; another test checks that `evaluate` equals one."""
    model = zoo.load_model(name)
    weights = find_model(name)[1]
    images = zoo.load_dataset(dataset_of(weights), split="val").images
    total = 0.0
    with torch.inference_mode():
        for batch in images.split(512):
            x = model.preprocess(batch)
            total += ((model(x) - x).double() / 2).square().sum().item()
    assert total / images.numel() == pytest.approx(weights.metrics["mse"], **PRINTED)


def test_the_promised_weights_exist():
    promised = {f"convae-{n}.{tag}" for n in (200, 1000) for tag in ("photos", "fashion-mnist")}
    promised |= {f"linear-residual-200.{tag}" for tag in ("photos", "fashion-mnist")}
    assert promised <= set(NAMES)


@pytest.mark.parametrize("tag", ["photos", "fashion-mnist"])
def test_the_best_model_of_200_floats_beats_pca(tag):
    weights = find_model(f"linear-residual-200.{tag}")[1]
    assert weights.metrics["mse"] <= 0.85 * weights.metrics["pca_mse"]
