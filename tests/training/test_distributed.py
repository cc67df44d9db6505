"""Several processes: equal losses, disjoint shards, a lost process, restarts by torchrun."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from convae_zoo.errors import TrainingError, UsageError
from convae_zoo.registry.specs import Recipe
from convae_zoo.runtime.distributed import World
from convae_zoo.training.run import check_shards
from tiny_runs import losses_of, start_pair, tiny_train

CHILD = Path(__file__).parents[1] / "support" / "tiny_runs.py"


@pytest.mark.parametrize("count", [1, 2, 7, 64])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_shards_of_a_batch_add_up_to_the_batch(count, size):
    batch = torch.arange(count)
    shards = [World(rank, size).shard(batch) for rank in range(size)]
    assert torch.equal(torch.cat(shards), batch)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_every_process_has_its_own_random_numbers():
    drawn = []
    for rank in range(3):
        torch.manual_seed(7)
        World(rank, 3).seed_rank()
        drawn.append(torch.randn(4))
    torch.manual_seed(7)
    assert torch.equal(drawn[0], torch.randn(4))
    assert len({tuple(numbers.tolist()) for numbers in drawn}) == 3


def test_more_processes_than_images_per_batch_are_refused():
    check_shards(World(0, 3), 100, Recipe(batch_size=3))
    with pytest.raises(UsageError, match="3 processes are more than the 2 images of a batch"):
        check_shards(World(0, 3), 100, Recipe(batch_size=2))
    with pytest.raises(UsageError, match="3 processes are more than the 1 images of a batch"):
        check_shards(World(0, 3), 1, Recipe())


@pytest.mark.slow
def test_two_processes_give_the_same_losses_as_one(tmp_path):
    """203 images leave a last batch of 11, 193 one of a single image: a rank has none of it.

    Also a start from the data, and a loss with parameters of its own.
    """
    out = tmp_path / "run"
    linear = {"image_size": 8, "width": 2, "hidden": 4, "latent_dim": 8}
    runs = [
        {"count": 203, "epochs": 3, "out": str(out)},
        {"count": 193, "epochs": 2},
        {"model": "linear-residual-200", "overrides": linear, "epochs": 2},
        {"loss": "mse + 0.1*adversarial", "epochs": 2},
        {"optimizer": "muon", "learning_rate": 0.02, "epochs": 2},
    ]
    runs = [{"shuffle": True, **run} for run in runs]
    for child in start_pair(runs, tmp_path):
        child.join(240)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    record = json.loads((out / "run.json").read_text())
    assert (record["processes"], record["state"]) == (2, "finished")
    for settings, found in zip(runs, first, strict=True):
        one = losses_of(tiny_train(**{**settings, "out": None}))
        torch.testing.assert_close(found["train"], one["train"], rtol=2e-4, atol=1e-6)
        torch.testing.assert_close(found["val"], one["val"], rtol=2e-4, atol=1e-6)
        assert found["threads"] == []  # they would abort a process whose interpreter ends first


@pytest.mark.slow
def test_a_process_reports_the_loss_of_another(tmp_path):
    """Without torchrun, which would send SIGTERM to the other process."""
    out = tmp_path / "run"
    runs = [{"epochs": 10_000, "checkpoint_every": 4, "out": str(out)}]
    survivor, lost = start_pair(runs, tmp_path)
    wait_for_a_checkpoint(out, survivor.is_alive)
    lost.kill()
    survivor.join(120)
    (found,) = json.loads((tmp_path / "0.json").read_text())
    assert found["exit_status"] == TrainingError.exit_status
    assert found["error"].startswith("lost another process of this run; --resume continues from")


@pytest.mark.slow
def test_a_killed_rank_restarts_and_the_run_ends_like_an_undisturbed_one(tmp_path):
    """The real torchrun restarts both processes, and they resume by themselves."""
    out = tmp_path / "run"
    settings = {"epochs": 8, "shuffle": True, "checkpoint_every": 4}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--standalone", "--max-restarts", "2", str(CHILD)]
    process = subprocess.Popen(
        [*command, json.dumps({**settings, "out": str(out)})],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    wait_for_a_checkpoint(out, lambda: process.poll() is None)
    workers = [
        child for child in psutil.Process(process.pid).children() if str(CHILD) in child.cmdline()
    ]
    assert len(workers) == 2
    workers[-1].send_signal(signal.SIGKILL)
    printed, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    again = next(json.loads(line) for line in printed.splitlines() if line.startswith("{"))
    one = losses_of(tiny_train(**settings))
    torch.testing.assert_close(again["train"], one["train"], rtol=2e-4, atol=1e-6)
    torch.testing.assert_close(again["val"], one["val"], rtol=2e-4, atol=1e-6)


def wait_for_a_checkpoint(out, is_alive):
    while not list((out / "checkpoints").glob("step-*")):
        assert is_alive()
        time.sleep(0.05)
