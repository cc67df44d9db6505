"""What a fresh process imports to load a model."""

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


def test_loading_imports_no_slow_package():
    """``linear-residual-200`` computes a cosine basis when it is built."""
    script = """
        import json, sys
        import convae_zoo as zoo
        for name in ("convae-200.photos", "linear-residual-200.photos"):
            zoo.load_model(name)
        print(json.dumps(sorted(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert SLOW.intersection(json.loads(done.stdout)) == set()
