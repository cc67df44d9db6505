"""Every activation that a config may name can be made."""

import pytest
import torch

from convae_zoo import fields
from convae_zoo.layers import activation, make_activation


def test_the_names_that_a_config_takes_are_the_activations_there_are():
    assert tuple(activation._CLASSES) == fields.ACTIVATIONS


@pytest.mark.parametrize("name", fields.ACTIVATIONS)
def test_an_activation_is_the_function_of_that_name(name):
    x = torch.linspace(-2, 2, 9)
    function = getattr(torch.nn.functional, name)
    assert torch.equal(make_activation(name)(x), function(x))
