"""The cache of fetched weights: content by sha256, one download for many processes."""

import hashlib
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from convae_zoo.errors import WeightsError
from convae_zoo.weights.download.cache import RemoteFile, digest, fetch, find, folder, place

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


def leftovers(cache):
    return {p.suffix for p in cache.iterdir()} - {".lock"}


def test_the_folder_is_the_users_cache_unless_set(monkeypatch, tmp_path):
    monkeypatch.delenv("CONVAE_ZOO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folder() == tmp_path / "convae_zoo" / "weights"


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
def test_other_bytes_than_registered_are_thrown_away(server, weights_cache, wrong):
    line = failure(server.offer("/x", wrong))
    assert f"sha256 {sha256(wrong)}, expected {sha256(BODY)}" in line
    assert leftovers(weights_cache) == set()


def test_a_resumed_file_that_is_wrong_in_the_end_is_fetched_once_more(server, weights_cache):
    weights_cache.mkdir(parents=True)
    (weights_cache / f"{sha256(BODY)}.part").write_bytes(b"of another version" * 10)
    path = fetch(remote(server.offer("/x", BODY)))
    assert path.read_bytes() == BODY
    assert [("Range" in headers) for headers in server.asked("/x")] == [True, False]


def test_what_came_before_the_connection_broke_is_kept(server, faults):
    url = server.tell("/x", faults.cut(BODY, 5000))
    assert "5000 bytes are kept" in failure(url)
    assert not place(sha256(BODY)).exists()
    assert fetch(remote(server.offer("/x", BODY))).read_bytes() == BODY
    assert server.asked("/x")[-1]["Range"] == "bytes=5000-"


@pytest.mark.parametrize("variable", ["CONVAE_ZOO_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_nothing_is_asked_for(server, monkeypatch, variable):
    url = server.offer("/x", BODY)
    monkeypatch.setenv(variable, "1")
    line = failure(url)
    assert variable in line
    assert str(place(sha256(BODY))) in line
    assert server.requests == []


def test_offline_a_cached_file_is_used(server, monkeypatch):
    url = server.offer("/x", BODY)
    path = fetch(remote(url))
    monkeypatch.setenv("CONVAE_ZOO_OFFLINE", "1")
    assert fetch(remote(url)) == path


def test_a_cache_that_cannot_be_made_is_told(server, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CONVAE_ZOO_CACHE", str(tmp_path / "file"))
    assert "CONVAE_ZOO_CACHE" in failure(server.offer("/x", BODY))


@pytest.mark.parametrize("stated", ["../../x", "a" * 63, "A" * 64])
def test_a_server_cannot_name_a_file_outside_the_cache(stated):
    with pytest.raises(ValueError, match="sha256"):
        RemoteFile(name="x", url="https://h/x", sha256=stated)


# In processes of their own.

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


def wait_for(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_two_processes_that_want_one_file_fetch_it_once(server, monkeypatch):
    release = threading.Event()

    def slow(handler):
        release.wait(20)
        handler.file(BODY)

    url = server.tell("/x", slow)
    monkeypatch.setenv("CONVAE_ZOO_TIMEOUT", "20")
    both = [fetching(url), fetching(url)]
    wait_for(lambda: server.requests)
    time.sleep(1)  # lets the other one reach the lock
    release.set()
    outputs = [process.communicate(timeout=30) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0] != ""
    assert len(server.asked("/x")) == 1


def test_a_killed_download_leaves_neither_a_lock_nor_a_file(server):
    def half(handler):
        handler.head(200, len(BODY))
        handler.wfile.write(BODY[:200_000])
        handler.server.pause(20)

    process = fetching(server.tell("/x", half))
    part = place(sha256(BODY)).with_suffix(".part")
    wait_for(lambda: part.exists() and part.stat().st_size)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert not place(sha256(BODY)).exists()
    assert fetch(remote(server.offer("/x", BODY))).read_bytes() == BODY
    assert "Range" in server.asked("/x")[-1]


def test_waiting_for_a_process_that_gets_nowhere_ends(server, monkeypatch):
    monkeypatch.setenv("CONVAE_ZOO_TIMEOUT", "0.3")
    holder = fetching(
        server.offer("/x", BODY),
        prelude="""
        import contextlib, time
        from convae_zoo.weights.download import cache
        def stuck(*_):
            print("stuck", flush=True)
            time.sleep(60)
        cache._store = stuck
    """,
    )
    try:
        assert holder.stdout.readline() == "stuck\n"
        assert "another process holds" in failure(server.offer("/x", BODY))
    finally:
        holder.kill()
        holder.communicate(timeout=10)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of a process")
def test_a_full_disk_is_told_and_leaves_nothing_behind(server, weights_cache):
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
