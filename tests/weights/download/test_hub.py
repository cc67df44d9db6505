"""Repositories on the Hub: look-up, download and upload, against a local server."""

import hashlib
import io
import json
import logging
import os
import shutil
import time

import pytest
import torch

import convae_zoo as zoo
from convae_zoo.cli import main
from convae_zoo.errors import UsageError, WeightsError, ZooError
from convae_zoo.weights.download.hub import locate
from convae_zoo.weights.pull import pull
from convae_zoo.weights.push import push

REPO = "someone/net"


@pytest.fixture
def held(server, repository, body):
    """A repository that holds a model."""
    server.repositories[REPO] = repository(files={"model.safetensors": body, "README.md": b"x"})
    return server.repositories[REPO]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def failure(work, kind=WeightsError):
    start = time.monotonic()
    with pytest.raises(kind) as caught:
        work()
    assert time.monotonic() - start < 10
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.usefixtures("held")
def test_a_repository_is_pulled_and_checked(model, weights_cache, body):
    path = pull(REPO)
    assert path == weights_cache / f"{sha256(body)}.safetensors"
    loaded = zoo.load_model(path)
    assert torch.equal(loaded.state_dict()["encoder.net.0.weight"], model.encoder.net[0].weight)


def test_the_file_is_fetched_from_the_resolved_commit(held, server):
    pull(REPO, revision="main")
    resolved = [p for _, p, _ in server.requests if "/resolve/" in p]
    assert resolved == [f"/{REPO}/resolve/{held.commit}/model.safetensors"]


@pytest.mark.usefixtures("held")
def test_a_cached_file_is_not_fetched_again(server):
    assert pull(REPO) == pull(REPO)
    assert sum("/cdn/" in p for _, p, _ in server.requests) == 1


def test_a_file_must_be_named_if_there_are_several(server, repository, body):
    server.repositories[REPO] = repository(files={"a.safetensors": body, "b/c.safetensors": body})
    assert "name one, as in someone/net/a.safetensors" in failure(lambda: pull(REPO), UsageError)
    assert pull(f"{REPO}/b/c.safetensors").read_bytes() == body
    assert "did you mean 'a.safetensors'" in failure(
        lambda: pull(f"{REPO}/aa.safetensors"), UsageError
    )


@pytest.mark.parametrize(
    ("files", "only"),
    [
        ({"pytorch_model.bin": b"\x80", "README.md": b""}, True),
        ({"nested/model.pt": b"PK", "config.json": b"{}"}, True),
        ({"README.md": b""}, False),
        ({}, False),
    ],
)
def test_a_repository_without_safetensors_is_refused(server, repository, files, only):
    server.repositories[REPO] = repository(files=files)
    line = failure(lambda: pull(REPO))
    assert "someone/net holds no safetensors file" in line
    assert ("(only pickles, which are never loaded)" in line) is only
    assert not any("/resolve/" in p for _, p, _ in server.requests)


def test_a_pickle_is_never_fetched_by_name(server, repository, body):
    files = {"model.safetensors": body, "model.bin": b"\x80"}
    server.repositories[REPO] = repository(files=files)
    assert "no safetensors file 'model.bin'" in failure(
        lambda: pull(f"{REPO}/model.bin"), UsageError
    )


@pytest.mark.parametrize("inside", [b"\x80\x04pickle", b"", b"x" * 100])
def test_a_file_that_the_zoo_cannot_read_is_not_kept(server, repository, weights_cache, inside):
    server.repositories[REPO] = repository(files={"model.safetensors": inside})
    failure(lambda: pull(REPO))
    assert not list(weights_cache.glob("*.safetensors"))


def test_a_file_that_is_not_in_lfs_is_pulled(held, body):
    held.plain.add("model.safetensors")
    assert pull(REPO).read_bytes() == body


@pytest.mark.usefixtures("held")
def test_a_pull_with_another_digest_than_the_hub_states_is_discarded(server, weights_cache, body):
    path = f"/cdn/{sha256(body)}"
    server.offer(path, body[::-1])
    assert "gave other bytes than expected" in failure(lambda: pull(REPO))
    assert not list(weights_cache.glob("*.safetensors"))


def test_a_private_repository_needs_a_login(held, monkeypatch, body):
    held.private = True
    assert "private and needs 'hf auth login' or HF_TOKEN" in failure(lambda: pull(REPO))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert pull(REPO).read_bytes() == body


def test_the_token_is_sent_to_the_hub_only(held, server, monkeypatch, body):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pull(REPO)
    assert "Authorization" not in server.asked(f"/cdn/{sha256(body)}")[0]
    resolved = server.asked(f"/{REPO}/resolve/{held.commit}/model.safetensors")
    assert resolved[0]["Authorization"] == "Bearer hf_secret"


@pytest.mark.usefixtures("held")
def test_an_unknown_repository_or_revision_is_reported():
    assert "there is no repository someone/else" in failure(lambda: pull("someone/else"))
    assert "has no revision 'v9'" in failure(lambda: pull(REPO, revision="v9"))


@pytest.mark.parametrize("name", ["a/", "/a", "a b/c", "..//", "a--b/c"])
def test_an_invalid_repository_name_is_refused(name):
    failure(lambda: pull(name), UsageError)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (401, "check the login ('hf auth login', or HF_TOKEN)"),
        (403, "check the login ('hf auth login', or HF_TOKEN)"),
        (418, "refuses the request"),
        (429, "too many requests; try again later"),
        (500, "the server failed; try again later"),
        (503, "the server failed; try again later"),
    ],
)
def test_a_refusal_by_the_hub_is_reported(server, faults, code, reason):
    server.tell(f"/api/models/{REPO}", faults.status(code))
    assert f"{reason} (HTTP {code})" in failure(lambda: locate(REPO))


LIES = [
    b"",
    b"<html>",
    b"[]",
    b"null",
    b"{}",
    b'{"id": 3, "siblings": 4}',
    b'{"id": "a/b", "siblings": [{"rfilename": 5}]}',
    (
        b'{"id": "a/b", "sha": "c", "siblings": [{"rfilename": "x.safetensors", "lfs": '
        b'{"sha256": "../../../x", "size": 1, "pointerSize": 1}}]}'
    ),
    b'{"id": "a/b", "siblings": [{"rfilename": "x.safetensors", "size": -1}]}',
    b'{"id": "a/b", "siblings": [{"rfilename": "x.safetensors", "size": "many"}]}',
]


@pytest.mark.parametrize("lie", LIES)
def test_an_invalid_response_of_the_hub_is_reported(server, lie):
    server.tell(f"/api/models/{REPO}", lambda h: h.send(200, lie, Content_Type="application/json"))
    failure(lambda: pull(REPO), ZooError)


def test_a_silent_hub_or_a_redirect_loop_is_abandoned(server, faults):
    path = f"/api/models/{REPO}"
    endless_number = lambda h: h.head(200, "9" * 5000)  # noqa: E731
    for fault in (faults.silent, faults.redirect(path), endless_number):
        server.tell(path, fault)
        failure(lambda: locate(REPO))


def test_an_unreachable_hub_is_reported(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "cannot be understood or reached" in failure(lambda: locate(REPO))


@pytest.mark.parametrize("address", ["http://me:secret@hub.example.org", "https://me:sec/ret@hub"])
def test_a_hub_without_https_is_refused_and_its_password_not_printed(monkeypatch, address):
    monkeypatch.setenv("HF_ENDPOINT", address)
    line = failure(lambda: locate(REPO), UsageError)
    assert "HF_ENDPOINT must be an https address" in line
    assert "sec" not in line


@pytest.fixture
def hub_log():
    """The log of the Hub's library, whatever other tests did to its logger."""
    log = io.StringIO()
    logger, handler = logging.getLogger("huggingface_hub"), logging.StreamHandler(log)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    yield log
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.mark.usefixtures("held", "login")
def test_a_password_in_the_hubs_address_is_never_printed(
    server, faults, monkeypatch, capfd, weights_file, body, hub_log
):
    monkeypatch.setenv("HF_ENDPOINT", server.url.replace("//", "//me:secret@"))
    assert pull(REPO).read_bytes() == body
    server.tell(f"/cdn/{sha256(body)}", faults.status(404))
    shutil.rmtree(os.environ["CONVAE_ZOO_CACHE"])
    lines = [failure(lambda: pull(REPO))]
    server.tell(f"/api/models/{REPO}/preupload/main", faults.status(503))
    monkeypatch.setenv("CONVAE_ZOO_TIMEOUT", "0.3")
    lines.append(failure(lambda: push(weights_file, REPO)))
    monkeypatch.setenv("HF_ENDPOINT", "http://me:secret@127.0.0.1:9")
    lines.append(failure(lambda: locate(REPO)))
    assert "HTTP Error 503" in hub_log.getvalue()
    assert "secret" not in " ".join([*lines, hub_log.getvalue(), *capfd.readouterr()])


# Pushing.


@pytest.fixture
def login(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")


@pytest.mark.usefixtures("login")
def test_pushed_weights_can_be_pulled(server, weights_file, body):
    commit, digest = push(weights_file, REPO)
    held = server.repositories[REPO]
    assert (commit, digest) == (held.commit, sha256(body))
    assert held.files["model.safetensors"] == body
    assert pull(REPO, revision=commit).read_bytes() == body


@pytest.mark.usefixtures("login")
def test_a_new_repository_gets_a_card(server, weights_file, body):
    push(weights_file, REPO)
    card = server.repositories[REPO].files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: convae_zoo\nlicense: apache-2.0\n")
    assert f"convae-zoo pull {REPO}" in card
    assert sha256(body) in card
    assert "| val mse | 0.0123 |" in card
    assert "latent_dim=3" in card
    assert "photos" in card


@pytest.mark.usefixtures("login")
def test_a_run_folder_is_pushed_as_its_model(server, tmp_path, body):
    (tmp_path / "model.safetensors").write_bytes(body)
    push(tmp_path, REPO)
    assert server.repositories[REPO].files["model.safetensors"] == body


@pytest.mark.usefixtures("login")
def test_an_existing_card_is_kept(held, weights_file):
    push(weights_file, REPO)
    assert held.files["README.md"] == b"x"


@pytest.mark.usefixtures("login")
def test_a_missing_branch_is_created(held, weights_file):
    push(weights_file, REPO, revision="v2")
    assert "v2" in held.branches


@pytest.mark.usefixtures("login")
def test_a_private_repository_is_private(server, weights_file):
    push(weights_file, REPO, private=True)
    assert server.repositories[REPO].private


@pytest.mark.usefixtures("login")
def test_a_private_model_is_not_pushed_to_a_public_repository(held, weights_file):
    before = held.commit
    line = failure(lambda: push(weights_file, REPO, private=True), UsageError)
    assert "is public; make it private first" in line
    assert held.commit == before


def test_pushing_needs_a_login(server, weights_file):
    assert "without a login" in failure(lambda: push(weights_file, REPO))
    assert server.requests == []


@pytest.mark.usefixtures("login")
def test_only_weights_of_the_zoo_are_pushed(server, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"\x80\x04pickle")
    failure(lambda: push(tmp_path / "x.safetensors", REPO))
    failure(lambda: push(tmp_path / "none.safetensors", REPO))
    assert server.requests == []


@pytest.mark.usefixtures("login")
def test_a_hub_that_stores_other_bytes_is_detected(server, weights_file, body):
    def forge(handler):
        server.uploads[sha256(body)] = body[::-1]
        handler.send(200)

    server.tell(f"/upload/{sha256(body)}", forge)
    assert "holds other bytes after the upload" in failure(lambda: push(weights_file, REPO))


@pytest.mark.usefixtures("login")
def test_a_push_to_a_silent_hub_times_out(server, faults, weights_file, monkeypatch):
    monkeypatch.setenv("CONVAE_ZOO_TIMEOUT", "0.2")
    server.tell("/api/repos/create", faults.silent)
    assert "no response within" in failure(lambda: push(weights_file, REPO))


@pytest.mark.usefixtures("login")
def test_a_refused_push_is_reported(server, faults, weights_file):
    server.tell("/api/repos/create", faults.status(403))
    assert "access refused; check the login" in failure(lambda: push(weights_file, REPO))


# The commands.


@pytest.mark.usefixtures("held")
def test_pull_prints_the_path_and_the_sha256(tmp_path, capsys, body):
    out = tmp_path / "out.safetensors"
    assert main(["pull", REPO, "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"path": str(out), "sha256": sha256(body)}
    assert out.read_bytes() == body


@pytest.mark.usefixtures("login")
def test_push_prints_the_fields_of_a_spec(server, weights_file, capsys, body):
    assert main(["push", str(weights_file), REPO]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    commit = server.repositories[REPO].commit
    assert shown == {"hub": REPO, "revision": commit, "sha256": sha256(body)}


def test_an_error_is_one_line_and_status_1(capsys):
    assert main(["pull", "someone/else"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
