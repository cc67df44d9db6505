"""What a fresh process imports to load a model, and to train one."""

import json
import subprocess
import sys
import textwrap

SLOW = {
    "torch._dynamo",
    "torch._inductor",
    "sympy",
    "torchvision",
    "torchmetrics",
    "sklearn",
    "skimage",
    "scipy",
    "matplotlib",
    "rich",
    "huggingface_hub",
    "pooch",
    "requests",
}


def imported(script):
    script = textwrap.dedent(script) + "\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_loading_imports_no_slow_package():
    """``linear-residual-200`` computes a cosine basis when it is built without weights."""
    script = """
        import convae_zoo as zoo
        for name in ("convae-200.photos", "linear-residual-200.photos"):
            zoo.load_model(name)
    """
    assert (SLOW | {"PIL", "packaging"}) & imported(script) == set()


def test_training_with_muon_imports_no_slow_package():
    script = """
        import torch
        import convae_datasets.torchvision_sets
        import convae_zoo as zoo
        from convae_zoo.data import ImageSet
        images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
        sets = tuple(ImageSet(name="dark", split=s, images=images) for s in ("train", "val"))
        small = {"image_size": 8, "width": 2, "latent_dim": 2}
        zoo.train("convae-200", dataset=sets, recipe="fast", epochs=1, overrides=small)
    """
    assert SLOW & imported(script) == set()
