"""What the plugin registers; no torch here."""

from convae_zoo import hookimpl
from convae_zoo.hookspecs import Registrar
from convae_zoo.specs import DatasetSpec


@hookimpl
def register_datasets(register: Registrar[DatasetSpec]) -> None:
    """Register the datasets."""
