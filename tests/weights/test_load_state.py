"""`is_loading` while a model is built for stored weights."""

import attrs
import pytest
import torch
from torch import nn

from convae_zoo.errors import WeightsError
from convae_zoo.models.create import build_plan
from convae_zoo.models.loading import is_loading
from convae_zoo.models.plan import Plan
from convae_zoo.registry.specs import DecoderSpec, EncoderSpec
from convae_zoo.weights.load_state import build_with_state


@attrs.frozen
class Config:
    input_shape = output_shape = (1, 2, 2)
    latent_shape = (1, 2, 2)


@pytest.fixture
def asked() -> list[bool]:
    """Records `is_loading` each time the part is built."""
    return []


@pytest.fixture
def plan(asked) -> Plan:
    def part() -> nn.Module:
        asked.append(is_loading())
        return nn.Conv2d(1, 1, 1)

    return Plan(
        encoder=EncoderSpec(name="mine", factory=part, config=Config),
        encoder_config=Config(),
        decoder=DecoderSpec(name="mine", factory=part, config=Config),
        decoder_config=Config(),
    )


def test_is_loading_is_true_while_a_part_is_built_for_stored_weights(plan, asked):
    tensors = build_plan(plan).state_dict()
    assert asked == [False, False]
    asked.clear()
    filled = build_with_state(plan, tensors, "file")
    assert asked
    assert all(asked)
    assert all(torch.equal(v, tensors[k]) for k, v in filled.state_dict().items())
    assert not is_loading()


def test_a_failed_load_resets_the_loading_state(plan):
    with pytest.raises(WeightsError):
        build_with_state(plan, {}, "file")
    assert not is_loading()
