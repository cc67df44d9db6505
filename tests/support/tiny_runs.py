"""Tiny training runs: a two-channel model on 8×8 noise; in this process or in warm children.

As a script, ``python tiny_runs.py SETTINGS_JSON``, it trains once and prints the losses as JSON.
"""

import contextlib
import json
import multiprocessing
import os
import socket
import sys
import traceback
from pathlib import Path

import torch

import convae_zoo as zoo
from convae_zoo import cli
from convae_zoo.data import ImageSet
from convae_zoo.errors import ZooError
from convae_zoo.runs.run_folder import RunFolder

zoo.list_models()  # loads the plugins: the children are forked from what is imported here

TINY = {"width": 2, "latent_dim": 8, "image_size": 8}


class Killed(BaseException):
    """Stands for a kill at an exact step."""


def image_set(count=100, split="train", seed=0, size=8):
    """Draw images 3×S×S with five labels, the same in every process."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)
    return ImageSet(
        name="noise",
        split=split,
        images=images,
        labels=torch.arange(count) % 5,
        class_names=tuple("abcde"),
    )


def tiny_train(model="convae-200", *, count=100, **settings):
    """Train on noise, on the CPU; `settings` are those of `zoo.train`."""
    given = {"batch_size": 16, "device": "cpu", "precision": "fp32"} | settings
    if "dataset" not in given:
        given["dataset"] = (image_set(count), image_set(30, "val", 1))
    if isinstance(model, str):
        given["overrides"] = TINY | given.get("overrides", {}) if "+" not in model else {}
    return zoo.train(model, **given)


@contextlib.contextmanager
def killed_at(step):
    """Let training raise `Killed` in place of the step after so many."""
    from convae_zoo.training.engine import Engine

    whole, taken = Engine.step, []

    def stepped(self, *args, **kwargs):
        if len(taken) == step:
            raise Killed
        taken.append(1)
        return whole(self, *args, **kwargs)

    Engine.step = stepped
    try:
        yield
    finally:
        Engine.step = whole


def start_command(arguments, said):
    """Start ``convae-zoo`` in a warm child, which exits with its status; `said` gets its stderr."""
    return _start(_command, arguments, said)


def start_child(settings, *, result=None, env=None):
    """Start a run, or several one after the other, in a process that has everything imported.

    Args:
        settings: of `tiny_train`; or a list of them.
        result: a file for the losses of each run, as JSON, or the line of its error.
        env: environment variables; with a list of runs a list of them.
    """
    return _start(_child, settings, result, env)


def _start(target, *args):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["tiny_runs", "convae_zoo.training.run", "matplotlib.backends.backend_agg"]
    )
    child = context.Process(target=target, args=args, daemon=True)
    child.start()
    return child


def _command(arguments, said):
    torch.set_num_threads(1)
    with Path(said).open("w", encoding="utf-8", buffering=1) as sys.stderr:
        sys.exit(cli.main(arguments))


def start_pair(runs, folder):
    """Start two processes that train together; each writes its results to ``folder/RANK.json``."""
    ports = [_free_port() for _ in runs]
    children = []
    for rank in ("0", "1"):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        master = {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "none"}
        env = [{**place, **master, "MASTER_PORT": str(port)} for port in ports]
        children.append(start_child(runs, result=folder / f"{rank}.json", env=env))
    return children


def losses_of(result):
    """Return what must be equal in equal runs, as JSON has it."""
    return {"train": result.train_losses, "val": result.val_losses}


def comparable(path):
    """All that must be equal in equal runs: all but the time that it took."""
    folder = RunFolder(path)
    history = [json.loads(line) for line in folder.history.read_text().splitlines()]
    for line in history:
        line.pop("seconds", None)
        line.pop("images_per_second", None)
    weights = [folder.model, folder.first_epoch, folder.best]
    files = [*sorted(folder.pictures.iterdir()), *weights, folder.curves]
    return history, {p.name: p.read_bytes() for p in files}


def _child(settings, result, env):
    torch.set_num_threads(1)
    runs = settings if isinstance(settings, list) else [settings]
    found = []
    for number, run in enumerate(runs):
        os.environ.update((env[number] if isinstance(env, list) else env) or {})
        try:
            found.append({**losses_of(tiny_train(**run)), "threads": _communicating()})
        except ZooError as error:
            found.append({"error": str(error), "exit_status": error.exit_status})
        except Exception:  # noqa: BLE001 - the parent must see it
            found.append({"error": traceback.format_exc(), "exit_status": None})
    if result is not None:
        Path(result).write_text(json.dumps(found), encoding="utf-8")
    sys.stdout.flush()


def _communicating():
    """Name this process's threads that talk to other processes."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return [name for name in names if "gloo" in name]


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.stdout.write(json.dumps(losses_of(tiny_train(**json.loads(sys.argv[1])))) + "\n")
