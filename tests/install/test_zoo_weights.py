"""The trained models that come with the zoo: loaded from its wheel, as good as their cards say."""

import pytest

import convae_zoo as zoo
from convae_zoo.registry import find_model
from convae_zoo.tasks.retrain import figures

pytestmark = pytest.mark.slow

NAMES = zoo.list_models(pretrained=True)
LOAD = """
import sys, time, torch, convae_zoo as zoo
assert {root!r} in zoo.__file__, zoo.__file__
for name in zoo.list_models(pretrained=True):
    model = zoo.load_model(name)
    x = model.preprocess(torch.zeros(2, *model.plan.image_shape, dtype=torch.uint8))
    assert not model.training and model(x).isfinite().all()
    print(name)
"""


def test_they_load_by_name_from_an_installed_wheel_without_a_network(fresh_environment):
    code = LOAD.format(root=str(fresh_environment.root))
    done = fresh_environment.python("-c", code, CONVAE_ZOO_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".photos")])
def test_they_measure_as_their_card_says(name):
    """To the digits that are printed; PCA beside one of them."""
    beside = name == "convae-200.photos"
    found = figures(zoo.evaluate(zoo.load_model(name), "photos", baseline=beside, device="cpu"))
    weights = find_model(name)[1]
    printed = {"rel": 5e-4, "abs": 5e-5}
    for figure, value in found.items():
        assert value == pytest.approx(weights.metrics[figure], **printed), figure
    assert ("ratio_to_pca" in found) == beside


def test_what_the_zoo_promises_is_there():
    promised = {f"convae-{n}.{tag}" for n in (200, 1000) for tag in ("photos", "fashion-mnist")}
    promised |= {f"linear-residual-200.{tag}" for tag in ("photos", "fashion-mnist")}
    assert promised <= set(NAMES)


@pytest.mark.parametrize("tag", ["photos", "fashion-mnist"])
def test_the_best_model_of_200_floats_beats_pca(tag):
    weights = find_model(f"linear-residual-200.{tag}")[1]
    assert weights.metrics["mse"] <= 0.85 * weights.metrics["pca_mse"]
