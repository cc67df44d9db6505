"""Many processes: equal losses, disjoint shares, restarts; all with a real torchrun."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from convae_zoo.errors import TrainingError
from convae_zoo.runtime.distributed import World

DRIVER = Path(__file__).parent / "driver.py"


def torchrun(processes, *, restarts=0, **settings):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    command += ["--standalone", "--max-restarts", str(restarts), str(DRIVER)]
    given = {"epochs": 3, "shuffle": True, **settings}
    return subprocess.Popen(
        [*command, json.dumps(given)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def results(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("count", [1, 2, 7, 64])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_shares_of_a_batch_are_the_batch(count, size):
    batch = torch.arange(count)
    shares = [World(rank, size).share(batch) for rank in range(size)]
    assert torch.equal(torch.cat(shares), batch)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_every_process_draws_numbers_of_its_own():
    drawn = []
    for rank in range(3):
        torch.manual_seed(7)
        World(rank, 3).draw_apart()
        drawn.append(torch.randn(4))
    torch.manual_seed(7)
    assert torch.equal(drawn[0], torch.randn(4))
    assert len({tuple(numbers.tolist()) for numbers in drawn}) == 3


@pytest.mark.slow
@pytest.mark.parametrize("count", [203, 193])
def test_two_processes_give_the_losses_of_one(count, tmp_path):
    """203 images leave a last batch of 11, 193 one of a single image: a rank has none of it."""
    (one,) = results(torchrun(1, count=count))
    first, second = results(torchrun(2, count=count, out=str(tmp_path / "run")))
    assert first == second
    assert len(first["train"]) == len(one["train"])
    torch.testing.assert_close(first["train"], one["train"], rtol=2e-4, atol=1e-6)
    torch.testing.assert_close(first["val"], one["val"], rtol=2e-4, atol=1e-6)
    assert first["threads"] == []  # they would abort a process whose interpreter ends before them
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["processes"], record["state"]) == (2, "finished")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "loss"),
    [
        ("linear-residual-200", "mse"),
        ("convae-200", "mse + 0.1*adversarial"),
    ],
)
def test_what_a_part_brings_along_is_trained_alike_by_two_processes(model, loss):
    """A start from the data; a loss that learns."""
    settings = {"model": model, "loss": loss, "epochs": 2}
    (one,) = results(torchrun(1, **settings))
    first, second = results(torchrun(2, **settings))
    assert first == second
    torch.testing.assert_close(first["train"], one["train"], rtol=2e-4, atol=1e-6)
    torch.testing.assert_close(first["val"], one["val"], rtol=2e-4, atol=1e-6)
    assert first["threads"] == []


@pytest.mark.slow
def test_more_processes_than_images_of_a_batch_are_refused():
    process = torchrun(3, batch_size=2)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "3 processes are more than the 2 images of a batch; start fewer" in err


@pytest.mark.slow
def test_a_process_that_has_lost_another_says_so(tmp_path):
    """Without torchrun, which sends SIGTERM to the other as soon as it knows."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in ("0", "1"):
        run = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "none"}
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        settings = {"epochs": 10_000, "checkpoint_every": 4, "out": str(tmp_path / "run")}
        processes.append(
            subprocess.Popen(
                [sys.executable, str(DRIVER), json.dumps(settings)],
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, **run, **place, "OMP_NUM_THREADS": "1"},
            )
        )
    survivor, lost = processes
    while not list((tmp_path / "run" / "checkpoints").glob("step-*")):
        assert survivor.poll() is None
        time.sleep(0.05)
    lost.kill()
    _, err = survivor.communicate(timeout=120)
    lost.communicate()
    assert survivor.returncode == TrainingError.exit_status
    assert err.splitlines()[-1].startswith("error: lost another process of this run; --resume goes")


@pytest.mark.slow
def test_a_killed_rank_restarts_and_the_run_ends_as_an_undisturbed_one(tmp_path):
    whole = results(torchrun(2, epochs=12, out=str(tmp_path / "whole")))[0]
    process = torchrun(2, epochs=12, restarts=2, out=str(tmp_path / "run"), checkpoint_every=4)
    checkpoints = tmp_path / "run" / "checkpoints"
    while not list(checkpoints.glob("step-*")):
        assert process.poll() is None
        time.sleep(0.05)
    workers = [
        child for child in psutil.Process(process.pid).children() if str(DRIVER) in child.cmdline()
    ]
    assert len(workers) == 2
    workers[-1].send_signal(signal.SIGKILL)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    again = next(json.loads(line) for line in out.splitlines() if line.startswith("{"))
    torch.testing.assert_close(again["train"], whole["train"], rtol=1e-6, atol=0)
    torch.testing.assert_close(again["val"], whole["val"], rtol=1e-6, atol=0)
