"""Corruptions by name, in order, and with fixed noise."""

import pytest
import torch

from convae_zoo import CorruptionSpec
from convae_zoo.data import corrupt
from convae_zoo.data.corrupt import Corruption, keyed_generator
from convae_zoo.errors import ConfigError, PluginError, UnknownNameError

IMAGES = torch.randint(
    0, 256, (6, 3, 12, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)
)


def test_a_sum_applies_its_corruptions_in_order():
    both = Corruption("blur(sigma=1) + gaussian(sigma=10)")(IMAGES, keyed_generator(1))
    blurred = Corruption("blur(sigma=1)")(IMAGES, keyed_generator(1)).images
    noise = both.images - blurred
    assert noise.std().item() == pytest.approx(10, rel=0.1)
    other = Corruption("gaussian(sigma=10) + blur(sigma=1)")(IMAGES, keyed_generator(1))
    assert (other.images - blurred).std() < 5


def test_the_sigma_of_a_sum_is_that_of_all_its_noise():
    corruption = Corruption("gaussian(sigma=3) + blur(sigma=1) + gaussian(sigma=4)")
    assert corruption.states_sigma
    assert corruption(IMAGES, keyed_generator(1)).sigma.tolist() == [5] * 6
    assert not Corruption("blur").states_sigma
    assert Corruption("blur")(IMAGES, keyed_generator(1)).sigma is None


def test_the_fixed_noise_of_an_image_depends_on_its_index_alone():
    corruption = Corruption("gaussian(sigma=5:55)")
    whole = corruption.fixed(IMAGES, range(6))
    part = corruption.fixed(IMAGES[[4, 1]], [4, 1])
    assert torch.equal(part.images, whole.images[[4, 1]])
    assert torch.equal(part.sigma, whole.sigma[[4, 1]])
    twins = corruption.fixed(IMAGES[[0, 0]], [0, 1]).images
    assert not torch.equal(*twins)


def test_equal_keys_give_equal_numbers_and_others_do_not():
    def first(*key):
        return torch.rand(1, generator=keyed_generator(*key)).item()

    keys = [(0, 1, 2), (0, 1, 3), (1, 0, 2), (0, 12), (2**70, 1)]
    assert len({first(*key) for key in keys}) == len(keys)
    assert first(0, 1, 2) == first(0, 1, 2)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("gausian", UnknownNameError, r"unknown corruption 'gausian'; did you mean 'gaussian'"),
        ("gaussian(sgma=3)", UnknownNameError, r"unknown field .* did you mean 'sigma'"),
        (
            "gaussian(sigma=-1)",
            ConfigError,
            r"sigma must be a number from 0 to 255 or a range LOW:HIGH of such numbers, got -1",
        ),
        ("gaussian(sigma=256)", ConfigError, r"from 0 to 255 .*got 256"),
        ("gaussian(sigma=55:5)", ConfigError, r"a range LOW:HIGH .*got \(55, 5\)"),
        ("gaussian(sigma=(1, 2, 3))", ConfigError, r"got \(1, 2, 3\)"),
        ("blur + gaussian(sigma=nan)", ConfigError, r"got 'nan' \(character 17 of"),
        ("0.5*gaussian", ConfigError, r"'gaussian' has a weight, 0\.5; corruptions are applied"),
        ("", ConfigError, r"corruption is an empty string"),
        ("mask(size=0)", ConfigError, r"size must be a whole number of at least 1, got 0"),
        ("jpeg(quality=0)", ConfigError, r"quality must be a number from 1 to 100"),
    ],
)
def test_a_corruption_that_cannot_be_built_is_refused_with_the_reason(text, kind, message):
    with pytest.raises(kind, match=message):
        Corruption(text)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda images, _: images[..., 1:], r"it returns 6×3×12×9 for a batch 6×3×12×10"),
        (lambda _images, _: None, r"it returns NoneType"),
        (lambda images, _: images.no, r"it fails on a batch 6×3×12×10: AttributeError"),
    ],
)
def test_a_corruption_that_breaks_its_contract_names_its_plugin(monkeypatch, function, message):
    spec = CorruptionSpec(name="odd", factory=lambda: function)
    monkeypatch.setattr(corrupt, "find_spec", lambda _term, _kind: spec)
    with pytest.raises(PluginError, match=f"corruption 'odd' of plugin .*{message}"):
        Corruption("odd")(IMAGES, keyed_generator(0))
