from convae_zoo import EncoderSpec, hookimpl
from tiny_encoder.configs import TinyConfig


@hookimpl
def register_encoders(register):
    register(
        EncoderSpec(
            name="tiny-conv",
            factory="tiny_encoder.encoder:TinyConv",
            config=TinyConfig,
            summary="a convolution and a linear layer",
        )
    )
