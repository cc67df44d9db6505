"""The trained models that come with the zoo, loaded from installed wheels."""

import pytest

import convae_zoo as zoo

pytestmark = pytest.mark.slow

LOAD = """
import torch, convae_zoo as zoo
assert {root!r} in zoo.__file__, zoo.__file__
for name in zoo.list_models(pretrained=True):
    model = zoo.load_model(name)
    x = model.preprocess(torch.zeros(2, *model.plan.image_shape, dtype=torch.uint8))
    assert not model.training and model(x).isfinite().all()
    print(name)
"""


def test_they_load_by_name_from_installed_wheels_without_a_network(fresh_environment):
    code = LOAD.format(root=str(fresh_environment.root))
    done = fresh_environment.python("-c", code, CONVAE_ZOO_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == zoo.list_models(pretrained=True)
