"""The public names."""

import subprocess
import sys

import pytest

import convae_zoo


def test_the_public_names_are_those_that_are_imported_lazily():
    assert sorted(convae_zoo.__all__) == sorted(convae_zoo._MODULE_OF)


@pytest.mark.parametrize("name", convae_zoo.__all__)
def test_every_public_name_exists_and_is_documented(name):
    assert getattr(convae_zoo, name).__doc__ or name == "hookimpl"
    assert name in dir(convae_zoo)


def test_an_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'convae_zoo' has no attribute 'create_modle'"):
        _ = convae_zoo.create_modle


@pytest.mark.parametrize(
    "code",
    [
        "import convae_zoo",
        "import convae_zoo; convae_zoo.list_models('convae-*'); convae_zoo.list_datasets()",
        "import convae_zoo; convae_zoo.model_info('convae-200')",
        "from convae_zoo.models.plan import plan_model; plan_model('convae-200', latent_dim=3)",
    ],
)
def test_listing_and_planning_import_nothing_heavy(code):
    heavy = ("torch", "numpy", "matplotlib", "rich", "PIL", "sklearn", "skimage", "torchvision")
    check = f"{code}; import sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
