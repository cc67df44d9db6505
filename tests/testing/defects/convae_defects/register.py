"""One entry a defect, named after the property that it lacks."""

from convae_defects.configs import AnySize, Config, NotJson, Unchecked
from convae_zoo import hookimpl
from convae_zoo.registry.specs import (
    CorruptionSpec,
    DatasetSpec,
    DecoderSpec,
    EncoderSpec,
    LossSpec,
    ModelSpec,
    ScoreSpec,
    WeightsSpec,
)

ENCODERS = {
    "config-json": ("TwoLayers", NotJson),
    "bad-config": ("Width", Unchecked),
    "latent": ("EvenLatent", Config),
    "image-sizes": ("PowersOfTwo", Config),
    "gradients": ("UnusedLayer", Config),
    "terms": ("VectorTerm", Config),
    "seed": ("OwnRandomness", Config),
    "batch": ("BatchMean", Config),
    "state-dict": ("HiddenTensor", Config),
    "weights-file": ("ProcessDependent", Config),
    "channels-last": ("Strided", Config),
    "bf16": ("Cancelling", Config),
    "compile": ("CompiledDiffers", Config),
    "torch-export": ("ValueDependent", Config),
    "onnx": ("Bessel", Config),
    "no-module": ("no_module", Config),
    "raises": ("Raises", Config),
}
LOSSES = {
    "loss-scalar": "Vector",
    "loss-minimum": "OneTooMuch",
    "loss-gradients": "Root",
    "loss-symmetric": "Lopsided",
    "loss-float64": "Half",
}
DATASETS = {"dataset-images": "labels", "dataset-repeats": "random", "dataset-splits": "overlap"}

CORRUPTIONS = {
    "corruption-images": "even_sizes",
    "corruption-clean": "in_place",
    "corruption-seed": "own_randomness",
    "corruption-sigma": "WrongSigma",
    "only-uint8": "only_uint8",
    "unused-noise": "unused_noise",
    "shared-noise": "shared_noise",
    "doubles": "doubles",
}
SCORES = {
    "score-values": "Collapsed",
    "score-map": "FlatMap",
    "score-batch": "BatchRelative",
    "score-state": "Forgetful",
    "score-refit": "Accumulating",
    "score-sign": "Similarity",
}


@hookimpl
def register_encoders(register):
    for name, (factory, config) in ENCODERS.items():
        register(
            EncoderSpec(name=name, factory=f"convae_defects.encoders:{factory}", config=config)
        )


@hookimpl
def register_decoders(register):
    register(DecoderSpec(name="forward", factory="convae_defects.decoder:Doubling", config=AnySize))


@hookimpl
def register_losses(register):
    for name, factory in LOSSES.items():
        register(LossSpec(name=name, factory=f"convae_defects.losses:{factory}"))


@hookimpl
def register_datasets(register):
    for name, factory in DATASETS.items():
        register(DatasetSpec(name=name, factory=f"convae_defects.datasets:{factory}"))
    factories = {name: f"convae_defects.datasets:{name}" for name in ("pictured", "pictures")}
    register(
        DatasetSpec(
            name="dataset-pictures",
            factory=factories["pictured"],
            pictures=factories["pictures"],
        )
    )


@hookimpl
def register_corruptions(register):
    for name, factory in CORRUPTIONS.items():
        register(CorruptionSpec(name=name, factory=f"convae_defects.corruptions:{factory}"))


@hookimpl
def register_scores(register):
    for name, factory in SCORES.items():
        register(
            ScoreSpec(
                name=name,
                factory=f"convae_defects.scores:{factory}",
                needs_fit=True,
                gives_map=name == "score-map",
            )
        )


@hookimpl
def register_models(register):
    parts = {"encoder": "convae", "decoder": "convae"}
    register(ModelSpec(name="numbers", parameters=7, **parts))
    wrong = WeightsSpec(
        tag="photos",
        dataset="photos",
        file="convae_defects:weights.safetensors",
        sha256="0" * 64,
    )
    register(ModelSpec(name="weights", weights=(wrong,), **parts))
