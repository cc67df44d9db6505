"""The cache of downloaded weights: content by sha256, one download for many processes."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from convae_zoo.errors import WeightsError
from convae_zoo.weights.download.cache import (
    RemoteFile,
    cache_folder,
    cached_path,
    digest,
    fetch,
    find,
)

BODY = bytes(range(256)) * 1200


def sha256(body):
    return hashlib.sha256(body).hexdigest()


def remote(url, body=BODY):
    return RemoteFile(name="net.photos", url=url, sha256=sha256(body))


def failure(url, body=BODY):
    with pytest.raises(WeightsError) as caught:
        fetch(remote(url, body))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def wait_for(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def leftovers(cache):
    return {p.suffix for p in cache.iterdir()} - {".lock"}


def test_the_cache_folder_is_the_users_unless_the_variable_is_set(monkeypatch, tmp_path):
    monkeypatch.delenv("CONVAE_ZOO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "convae_zoo" / "weights"


def test_a_file_is_fetched_once(server, weights_cache):
    url = server.offer("/x", BODY)
    path = fetch(remote(url))
    assert path == weights_cache / f"{sha256(BODY)}.safetensors"
    assert path.read_bytes() == BODY
    assert fetch(remote(url)) == path
    assert len(server.requests) == 1
    assert leftovers(weights_cache) == {".safetensors"}


def test_a_cached_file_with_other_bytes_is_removed_and_fetched_again(server):
    url = server.offer("/x", BODY)
    path = fetch(remote(url))
    path.write_bytes(BODY[:-1] + b"x")
    assert find(sha256(BODY)) is None
    assert not path.exists()
    assert digest(fetch(remote(url))) == sha256(BODY)


def test_a_cached_file_is_used_from_a_folder_that_cannot_be_written(server, weights_cache):
    url = server.offer("/x", BODY)
    path = fetch(remote(url))
    shutil.rmtree(weights_cache, ignore_errors=False)
    weights_cache.mkdir()
    path.write_bytes(BODY)
    weights_cache.chmod(0o500)
    try:
        assert fetch(remote(url)) == path
    finally:
        weights_cache.chmod(0o700)
    assert len(server.requests) == 1


@pytest.mark.parametrize("wrong", [BODY[::-1], BODY[:-1], BODY + b"x", b""])
def test_a_download_with_another_digest_is_discarded(server, weights_cache, wrong):
    line = failure(server.offer("/x", wrong))
    assert f"expected sha256:{sha256(BODY)} but got {sha256(wrong)}" in line
    assert leftovers(weights_cache) == set()


@pytest.mark.parametrize("wrong", [BODY[:-1], BODY + b"x"])
def test_a_size_other_than_the_hub_states_is_refused(server, weights_cache, wrong):
    stated = RemoteFile(name="net", url=server.offer("/x", wrong), sha256=None, size=len(BODY))
    with pytest.raises(WeightsError, match="expected"):
        fetch(stated)
    assert leftovers(weights_cache) == set()


def test_a_file_that_an_earlier_version_cached_is_found(server, weights_cache):
    weights_cache.mkdir(parents=True)
    path = weights_cache / f"{sha256(BODY)}.safetensors"
    path.write_bytes(BODY)
    assert fetch(remote(server.url + "/x")) == path
    assert server.requests == []


def test_a_cached_file_has_the_default_permissions(server, tmp_path):
    (tmp_path / "new").touch()
    path = fetch(remote(server.offer("/x", BODY)))
    assert path.stat().st_mode == (tmp_path / "new").stat().st_mode


def test_planted_links_are_not_followed(server, weights_cache, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    weights_cache.mkdir(parents=True)
    for suffix in (".part", ".etag", ".safetensors"):
        cached_path(sha256(BODY)).with_suffix(suffix).symlink_to(victim)
    assert fetch(remote(server.offer("/x", BODY))).read_bytes() == BODY
    assert victim.read_text() == "mine"


def test_a_planted_link_in_place_of_the_lock_is_not_followed(server, weights_cache, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    weights_cache.mkdir(parents=True)
    cached_path(sha256(BODY)).with_suffix(".lock").symlink_to(victim)
    assert "cannot store net.photos" in failure(server.offer("/x", BODY))
    assert victim.read_text() == "mine"


def test_leftovers_of_a_killed_download_are_removed_after_a_week(server, weights_cache):
    weights_cache.mkdir(parents=True)
    old, new = weights_cache / "old.part", weights_cache / "new.part"
    for folder in (old, new):
        folder.mkdir()
        (folder / "half").write_bytes(b"x")
    os.utime(old, (0, 0))
    fetch(remote(server.offer("/x", BODY)))
    assert not old.exists()
    assert new.exists()


def test_a_password_in_an_address_is_not_printed(server, capfd):
    url = server.offer("/x", b"wrong").replace("//", "//me:secret@")
    assert "secret" not in failure(url)
    assert "secret" not in failure(url.replace("/x", "/y"))
    assert "secret" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("variable", ["CONVAE_ZOO_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_no_request_is_sent(server, monkeypatch, variable):
    url = server.offer("/x", BODY)
    monkeypatch.setenv(variable, "1")
    line = failure(url)
    assert variable in line
    assert str(cached_path(sha256(BODY))) in line
    assert server.requests == []


def test_offline_a_cached_file_is_used(server, monkeypatch):
    url = server.offer("/x", BODY)
    path = fetch(remote(url))
    monkeypatch.setenv("CONVAE_ZOO_OFFLINE", "1")
    assert fetch(remote(url)) == path


def test_a_cache_folder_that_cannot_be_created_is_reported(server, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CONVAE_ZOO_CACHE", str(tmp_path / "file"))
    assert "CONVAE_ZOO_CACHE" in failure(server.offer("/x", BODY))


@pytest.mark.parametrize("stated", ["../../x", "a" * 63, "A" * 64])
def test_a_server_cannot_name_a_file_outside_the_cache(stated):
    with pytest.raises(ValueError, match="sha256"):
        RemoteFile(name="x", url="https://h/x", sha256=stated)


# Concurrent downloads. Each call opens its own lock, as processes do.


@pytest.fixture
def pool():
    with ThreadPoolExecutor() as running:
        yield running


def test_two_concurrent_requests_download_a_file_once(server, monkeypatch, pool):
    release = threading.Event()

    def slow(handler):
        release.wait(20)
        handler.send(200, BODY)

    wanted = remote(server.tell("/x", slow))
    monkeypatch.setenv("CONVAE_ZOO_TIMEOUT", "20")
    both = [pool.submit(fetch, wanted) for _ in range(2)]
    wait_for(lambda: server.requests)
    time.sleep(0.3)  # lets the other one reach the lock
    release.set()
    assert both[0].result(20) == both[1].result(20)
    assert len(server.asked("/x")) == 1


def test_a_stalled_download_does_not_block_another(server, faults, monkeypatch, pool):
    monkeypatch.setenv("CONVAE_ZOO_TIMEOUT", "20")
    wanted = remote(server.tell("/x", faults.stall(BODY, 9), lambda h: h.send(200, BODY)))
    holder = pool.submit(fetch, wanted)
    wait_for(lambda: server.requests)
    monkeypatch.setenv("CONVAE_ZOO_TIMEOUT", "0.3")
    assert fetch(wanted).read_bytes() == BODY
    assert not holder.done()
    server.stopping.set()


# In separate processes.

FETCH = """
    import sys
    from convae_zoo.errors import ZooError
    from convae_zoo.weights.download.cache import RemoteFile, fetch
    try:
        print(fetch(RemoteFile(name="net.photos", url=sys.argv[1], sha256=sys.argv[2])))
    except ZooError as error:
        sys.exit(f"error: {error}")
"""


def fetching(url, prelude="", body=BODY):
    code = textwrap.dedent(prelude) + textwrap.dedent(FETCH)
    return subprocess.Popen(
        [sys.executable, "-c", code, url, sha256(body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_download_leaves_neither_a_lock_nor_a_file(server, faults, weights_cache):
    process = fetching(server.tell("/x", faults.stall(BODY, 200_000)))
    wait_for(lambda: [p for p in weights_cache.glob("*.part/*") if p.stat().st_size])
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert not cached_path(sha256(BODY)).exists()
    assert fetch(remote(server.offer("/x", BODY))).read_bytes() == BODY


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of a process")
def test_a_full_disk_is_reported_and_leaves_no_file(server, weights_cache):
    """A file may not grow beyond 100 kB in that process: the system refuses as on a full disk."""
    limit = """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    """
    process = fetching(server.offer("/x", BODY), prelude=limit)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert "cannot store net.photos" in err
    assert "CONVAE_ZOO_CACHE" in err
    assert leftovers(weights_cache) == set()
