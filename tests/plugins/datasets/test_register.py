import subprocess
import sys
from typing import cast

import attrs
import pytest
from convae_datasets.register import DATASETS

from convae_zoo.registry import get_registry
from convae_zoo.registry.factories import resolve
from convae_zoo.registry.specs import DatasetSpec


def test_every_dataset_is_registered_and_says_what_it_is_and_under_which_licence():
    for spec in DATASETS:
        found = cast("DatasetSpec", get_registry().get("dataset", spec.name))
        assert found == attrs.evolve(spec, provenance=found.provenance)
        assert found.provenance.distribution == "convae-zoo"
        assert found.splits[0] == "train"
        assert len(found.splits) > 1
        assert all((found.summary, found.license, found.source))


@pytest.mark.parametrize("spec", DATASETS, ids=lambda spec: spec.name)
def test_every_factory_is_there(spec: DatasetSpec):
    assert callable(resolve(spec.factory))
    assert getattr(resolve(spec.factory), "name", spec.name) == spec.name


def test_listing_the_datasets_imports_no_torch():
    code = (
        "import sys, convae_zoo as zoo; print(len(zoo.list_datasets()), "
        "[m for m in ('torch', 'torchvision', 'numpy', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1)[1].strip() == "[]"
    assert int(done.stdout.split()[0]) >= len(DATASETS)
