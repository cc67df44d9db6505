"""`Inference` against the model: at every batch size, in each job, whatever the parts look like."""

import copy
import pickle
import threading
import time

import pytest
import torch
from torch import nn

import convae_zoo as zoo
from convae_zoo.errors import ContractError, UsageError
from convae_zoo.runtime import candidates, fastest, openvino_program
from convae_zoo.runtime.candidates import EAGER, Candidate
from inference_outputs import TOLERANCES, close, images
from tiny_runs import TINY

SMALL = {"image_size": 8, "width": 4}
UNET = {
    "image_size": 16,
    "width": 4,
    "middle_width": 4,
    "deep_width": 16,
    "depth": 1,
    "middle_depth": 0,
}
MODELS = {
    "convae-200": TINY,
    "linear-residual-200": {**SMALL, "latent_dim": 6, "depth": 1, "hidden": 8},
    "variational-200": {**SMALL, "latent_dim": 6},
    "vector-quantised-512": {**SMALL, "codes": 8},
    "unet-denoiser": UNET,
}


@pytest.fixture(autouse=True)
def _without_openvino(monkeypatch):
    """Leave it to its own tests: it takes long to compile so many models."""
    monkeypatch.setattr(openvino_program, "is_installed", lambda: False)


def build(name="convae-200"):
    torch.manual_seed(0)
    return zoo.create_model(name, **MODELS[name]).eval()


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("name", MODELS)
def test_every_job_agrees_with_the_model_at_every_batch_size(name, precision):
    model = build(name)
    fast = zoo.Inference(model, precision)
    for count in (1, 4, 3):
        x = images(model, count)
        latents = model.encode(x)
        if name != "vector-quantised-512":  # rounding may choose another code
            close(fast(x), model.decode(latents), precision)
            close(fast.encode(x), latents, precision)
        close(fast.decode(latents), model.decode(latents), precision)


def test_a_model_that_takes_sigma_is_given_it():
    model = zoo.create_model("unet-denoiser-sigma", **UNET).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02)  # fresh weights leave the images as they are
    fast = zoo.Inference(model, "fp32")
    x = images(model, 2)
    faint, strong = torch.full((2,), 0.05), torch.full((2,), 0.3)
    assert not torch.allclose(fast(x, faint), fast(x, strong))
    close(fast(x, strong), model(x, strong).detach(), "fp32")
    close(fast.encode(x, strong), model.encode(x, strong), "fp32")


def test_images_of_another_size_are_taken_or_refused_as_by_the_model():
    model = build("unet-denoiser")
    x = torch.rand(1, 3, 48, 80)
    close(zoo.Inference(model, "fp32")(x), model(x).detach(), "fp32")
    fast = zoo.Inference(build())
    for use in (fast, fast.encode):
        with pytest.raises(ContractError, match="takes images N×3×8×8, got 2×3×12×12"):
            use(torch.zeros(2, 3, 12, 12))


def test_the_choice_is_measured_once_for_each_power_of_two(monkeypatch):
    measured = []
    plain = candidates.Runner.fastest

    def counted(self, job, dtypes, x, sigma, **options):
        measured.append((job, len(x)))
        return plain(self, job, dtypes, x, sigma, **options)

    monkeypatch.setattr(candidates.Runner, "fastest", counted)
    monkeypatch.setattr(fastest, "BUDGET", 0.0)
    model = build()
    fast = zoo.Inference(model, "fp32")
    for count in (1, 3, 4, 1, 2, 3, 200, 137, 64):
        fast(images(model, count))
    fast.encode(images(model, 3))
    most = fast._most_measured
    assert measured[:3] == [("reconstruct", 1), ("reconstruct", 2), ("reconstruct", 4)]
    assert measured[3:] == [("reconstruct", most), ("encode", 2)]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_repeatable_inference_measures_nothing_and_repeats_itself_to_the_bit(
    precision, monkeypatch
):
    monkeypatch.setattr(candidates, "fastest_of", None)
    model = build()
    outputs = [zoo.Inference(model, precision, repeatable=True)(images(model, 5)) for _ in "ab"]
    assert torch.equal(*outputs)
    close(outputs[0], model(images(model, 5)).detach(), precision)
    assert zoo.Inference(model, repeatable=True).precision == "fp32"


def test_a_candidate_that_computes_something_else_is_not_chosen():
    model = build()
    fast = zoo.Inference(model, "fp32", repeatable=True)
    x = images(model, 4)
    fast(x)
    assert set(fast._choices.values()) == {Candidate("packed")}
    other = zoo.Inference(model, "fp32", repeatable=True)
    for key, program in fast._runner._programs.items():
        other._runner._programs[key] = lambda z, program=program: program(z) + 1
    close(other(x), model(x).detach(), "fp32")
    assert not any(choice.engine == "packed" for choice in other._choices.values())


class Views(nn.Module):
    """Needs the contiguous layout."""

    def __init__(self, part):
        super().__init__()
        self.part, self.conv = part, nn.Conv2d(3, 3, 1)

    def forward(self, x):
        y = self.conv(x)
        return self.part(y.view(len(y), -1).view(y.shape))


class Branches(Views):
    """Cannot be traced: which layer runs depends on a value."""

    def forward(self, x):
        return self.part(self.conv(x) if x.sum() > 0 else x)


class Noisy(Views):
    """Draws random numbers, so nothing agrees with it."""

    scale = 1.0

    def forward(self, x):
        return self.part(x) + self.scale * torch.randn(1)


class Restless(Noisy):
    """Draws random numbers that are too small to be taken for a mistake."""

    scale = 0.003


@pytest.mark.parametrize("odd", [Views, Branches])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_parts_of_an_odd_form_work(odd, precision):
    model = build()
    model.encoder = odd(model.encoder).eval()
    fast = zoo.Inference(model, precision)
    for count in (1, 5):
        for sign in (1, -1):
            x = images(model, count).abs() * sign
            close(fast(x), model(x).detach(), precision)


@pytest.mark.parametrize("odd", [Noisy, Restless])
def test_a_part_that_draws_random_numbers_runs_as_it_is(odd):
    model = build()
    model.encoder = odd(model.encoder).eval()
    fast = zoo.Inference(model, "fp32")
    x = images(model, 2)
    outputs = []
    for run in (model, fast, fast):
        torch.manual_seed(1)
        outputs.append(run(x).detach())
    assert torch.equal(outputs[1], outputs[2])  # the choice draws from a generator of its own
    close(outputs[1], outputs[0])
    assert not torch.equal(fast(x), fast(x))
    assert set(fast._choices.values()) == {EAGER}


def test_threads_modes_and_random_numbers_are_as_before():
    model = build()
    before = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(2)
    try:
        fast = zoo.Inference(model)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            got = fast(images(model, 3))
        close(got, model(images(model, 3)).detach(), "auto")
        fast.decode(fast.encode(images(model, 1)))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    assert all(p.requires_grad for p in model.parameters())


def test_several_threads_may_use_one_inference_and_a_copy_works():
    model = build()
    fast = zoo.Inference(model, "fp32")
    batches = [images(model, count) for count in (1, 2, 5, 9)]
    expected = [model(x).detach() for x in batches]
    got = {}

    def work(index):
        for _ in range(3):
            got[index] = fast(batches[index % 4])

    workers = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(got) == 8
    for index, output in got.items():
        close(output, expected[index % 4], "fp32")
    close(copy.deepcopy(fast)(batches[2]), expected[2], "fp32")


def test_a_pickle_works_also_after_it_was_used():
    model = build()
    fast = zoo.Inference(model, "fp32", repeatable=True)
    x = images(model, 3)
    expected = fast(x)
    fast(x)
    again = pickle.loads(pickle.dumps(fast))  # noqa: S301 - written here
    assert torch.equal(again(x), expected)


def test_outputs_may_be_changed_in_place():
    model = build()
    fast = zoo.Inference(model)
    for _ in range(3):
        assert (fast(images(model, 2)) * 0 == fast(images(model, 2)).mul_(0)).all()


def test_another_state_is_refused_and_training_leaves_it_as_it_is():
    model = build()
    fast = zoo.Inference(model, "fp32")
    for change in (
        lambda: fast.load_state_dict(fast.state_dict()),
        fast.double,
        lambda: fast.to("meta"),
    ):
        with pytest.raises(UsageError, match="Inference is a frozen copy of a model"):
            change()
    nn.Sequential(fast).train()
    assert not fast.model.training
    close(fast(images(model, 2)), model(images(model, 2)).detach())


def test_images_that_the_model_refuses_leave_later_results_as_they_are():
    model = build()
    fast, other = (zoo.Inference(model, repeatable=True) for _ in "ab")
    with pytest.raises(ContractError):
        fast(torch.rand(2, 3, 4, 4))
    assert torch.equal(fast(images(model, 3)), other(images(model, 3)))


def test_a_slow_model_is_run_a_few_times_for_the_choice():
    model = build()
    calls = []

    class Slow(nn.Module):
        def forward(self, x):
            calls.append(len(x))
            time.sleep(0.3)
            return x

    model.encoder = nn.Sequential(Branches(Slow()), model.encoder).eval()
    zoo.Inference(model, "fp32")(images(model, 1))
    assert len(calls) <= 16


def test_an_empty_batch_is_mapped_to_an_empty_one():
    model = build()
    assert zoo.Inference(model)(images(model, 0)).shape == (0, *model.image_shape)
