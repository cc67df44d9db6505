"""Use an installed zoo from outside of its checkout: ``python smoke.py VERSION``."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from skimage import data

import convae_zoo as zoo

COMMAND = Path(sys.executable).parent / "convae-zoo"


def run(*arguments: str | Path) -> str:
    """Run a command of the zoo, which must succeed; return its stdout."""
    done = subprocess.run([COMMAND, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def main(version: str) -> None:
    """List, load, reconstruct, denoise and train."""
    if zoo.__version__ != version:
        sys.exit(f"version {zoo.__version__} is installed, {version} was built")
    plugins = json.loads(run("plugins", "--json"))["plugins"]  # fails if one is broken
    names = zoo.list_models(pretrained=True)
    for name in names:
        zoo.load_model(name)
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(data.__file__).parent / "coffee.png"
        run("reconstruct", "deep-residual-200.photos", photo, "--out", f"{folder}/again.png")
        run("denoise", "unet-denoiser.photographs", photo, "--out", f"{folder}/clean.png")
        run(
            *("train", "convae-200", "--set", "width=2", "--set", "latent_dim=4"),
            *("--dataset", "photos", "--epochs", "1", "--out", f"{folder}/run"),
        )
        if not Path(folder, "run", "model.safetensors").exists():
            sys.exit("training left no weights")
    print(f"{version}: {len(plugins)} plugins, {len(names)} trained models, all load")


if __name__ == "__main__":
    main(sys.argv[1])
