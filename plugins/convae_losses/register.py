"""What the plugin registers; no torch here."""

from convae_zoo import hookimpl
from convae_zoo.hookspecs import Registrar
from convae_zoo.specs import LossSpec


@hookimpl
def register_losses(register: Registrar[LossSpec]) -> None:
    """Register the losses."""
