"""Inference by OpenVINO against the model, at each batch size and in each job."""

import copy
import os
import subprocess
import sys
import threading

import pytest
import torch
from torch import nn

import convae_zoo as zoo
from convae_zoo.runtime import candidates, openvino_program
from convae_zoo.runtime.candidates import Candidate
from inference_outputs import close, images
from tiny_runs import TINY

pytest.importorskip("openvino")
SMALL = {"image_size": 8, "width": 4, "latent_dim": 6}
MODELS = {
    "convae-200": TINY,
    "linear-residual-200": {**SMALL, "depth": 1, "hidden": 8},
    "variational-200": SMALL,
}


@pytest.fixture(autouse=True)
def _by_openvino(monkeypatch):
    """Let OpenVINO win each measurement that it takes part in."""

    def fastest(calls):
        return next((each for each in calls if each.engine == "openvino"), candidates.EAGER)

    monkeypatch.setattr(candidates, "fastest_of", fastest)


def build(name="convae-200"):
    torch.manual_seed(0)
    return zoo.create_model(name, **MODELS[name]).eval()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", MODELS)
def test_every_job_agrees_with_the_model_at_every_batch_size(name, precision):
    model = build(name)
    fast = zoo.Inference(model, precision)
    with torch.no_grad():
        for count in (1, 4, 3, 4, 5, 1, 3):
            x = images(model, count)
            latents = model.encode(x)
            close(fast(x), model.decode(latents), precision)
            close(fast(x), model.decode(latents), precision)
            close(fast.encode(x), latents, precision)
            close(fast.decode(latents), model.decode(latents), precision)
    assert {choice.engine for choice in fast._choices.values()} == {"openvino"}


@pytest.mark.parametrize("shared_from", [0, openvino_program.SHARED_FROM])
def test_images_of_any_layout_and_dtype_are_taken_and_are_not_changed(shared_from, monkeypatch):
    monkeypatch.setattr(openvino_program, "SHARED_FROM", shared_from)
    model = build()
    fast = zoo.Inference(model, "fp32")
    x = images(model, 4)
    expected = model(x).detach()
    before = x.clone()
    for given in (x, x.to(memory_format=torch.channels_last), x.requires_grad_(), x.double()):
        first = fast(given)
        close(first, expected)
        fast(images(model, 4) * 0)
        close(first, expected)  # an output is not overwritten by the next call
    assert torch.equal(x, before)
    close(fast(x.bfloat16()), model(x.bfloat16().float()).detach())


def test_sigma_is_given_to_the_model():
    unet = {"image_size": 16, "width": 4, "middle_width": 4, "deep_width": 16, "depth": 1}
    model = zoo.create_model("unet-denoiser-sigma", **unet, middle_depth=0).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02)  # fresh weights leave the images as they are
    fast = zoo.Inference(model, "fp32")
    x = images(model, 2)
    for sigma in (0.05, 0.3, 0.05):
        given = torch.full((2,), sigma)
        close(fast(x, given), model(x, given).detach())
    wide = torch.rand(1, 3, 32, 48)
    close(fast(wide, given[:1]), model(wide, given[:1]).detach())


class Decides(nn.Module):
    """Which layers run depends on a value."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, x):
        return self.part(x if x.sum() > 0 else -x)


def test_a_part_that_decides_by_values_is_not_compiled():
    model = build()
    model.encoder = Decides(model.encoder).eval()
    fast = zoo.Inference(model, "fp32")
    for sign in (1, -1):
        x = images(model, 2) * sign
        close(fast(x), model(x).detach())
    assert not any(choice.engine == "openvino" for choice in fast._choices.values())


def test_an_output_that_differs_at_a_new_shape_is_not_used():
    model = build()
    fast = zoo.Inference(model, "fp32")
    fast(images(model, 4))
    (program,) = fast._runner._compiled.values()
    plain = program.of_shape
    program.of_shape = lambda *inputs: lambda *more: plain(*inputs)(*more) + 1
    close(fast(images(model, 5)), model(images(model, 5)).detach())


def test_what_fails_is_tried_once(monkeypatch):
    model = build()
    fast = zoo.Inference(model, "fp32")
    fast(images(model, 4))
    tried = []

    def fails(_, *inputs):
        tried.append(len(inputs[0]))
        raise RuntimeError("not this shape")

    monkeypatch.setattr(openvino_program.OpenVINOProgram, "of_shape", fails)
    for _ in range(3):
        close(fast(images(model, 5)), model(images(model, 5)).detach())
    assert tried == [5]


def test_what_was_not_chosen_is_freed_and_what_another_job_chose_is_kept(monkeypatch):
    model = build()
    fast = zoo.Inference(model, "fp32")
    fast.encode(images(model, 4))
    monkeypatch.setattr(candidates, "fastest_of", lambda _: candidates.EAGER)
    for count in (1, 2, 4):
        fast(images(model, count))
    kept = {key[0]: len(program._calls) for key, program in fast._runner._compiled.items()}
    assert kept == {"encode": 1, "reconstruct": 0}


def test_several_threads_may_use_one_inference_and_a_copy_works():
    model = build()
    fast = zoo.Inference(model, "fp32")
    batches = [images(model, count) for count in (1, 2, 5, 9)]
    expected = [model(x).detach() for x in batches]
    wrong = []

    def work(index):
        for number in range(20):
            which = (index + number) % 4
            if not torch.allclose(fast(batches[which]), expected[which], atol=1e-4):
                wrong.append(which)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    close(copy.deepcopy(fast)(batches[2]), expected[2])


def test_equal_results_are_promised_without_it():
    model = build()
    fast = zoo.Inference(model, repeatable=True)
    fast(images(model, 2))
    assert set(fast._choices.values()) == {Candidate("packed")}


BY_OPENVINO = """
import gc, signal, sys, torch, convae_zoo as zoo
from convae_zoo.runtime import candidates
candidates.fastest_of = lambda calls: [each for each in calls if each.engine == "openvino"][0]
model = zoo.create_model("convae-200", image_size=8, latent_dim=4).eval()
fast, other = zoo.Inference(model), zoo.Inference(model)
fast(torch.rand(2, 3, 8, 8))
other(torch.rand(2, 3, 8, 8))
"""


def test_nothing_is_reported_over_the_network(tmp_path):
    run_alone(
        """
assert "openvino" in sys.modules
assert "openvino_telemetry" not in sys.modules
""",
        tmp_path,
    )


def test_signals_are_handled_after_it_was_freed(tmp_path):
    run_alone(
        """
del fast
gc.collect()
del other
gc.collect()
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
signal.raise_signal(signal.SIGTERM)
""",
        tmp_path,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_computes_what_its_parent_does(tmp_path):
    run_alone(
        """
import os
torch.set_num_threads(1)  # PyTorch's own threads do not survive a fork either
x = torch.rand(2, 3, 8, 8)
expected = fast(x)
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(0 if torch.allclose(fast(x), expected, atol=0.02) else 1)
assert os.waitpid(child, 0)[1] == 0
assert torch.equal(fast(x), expected)
""",
        tmp_path,
    )


def run_alone(code, folder):
    command = [sys.executable, "-c", BY_OPENVINO + code]
    subprocess.run(command, check=True, cwd=folder, timeout=120)
