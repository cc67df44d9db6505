"""What the package registers."""

from convae_plain.configs import PlainConfig
from convae_zoo import EncoderSpec, hookimpl


@hookimpl
def register_encoders(register):
    register(
        EncoderSpec(
            name="plain",
            factory="convae_plain.encoder:PlainEncoder",
            config=PlainConfig,
            summary="one convolution and a linear layer",
        )
    )
