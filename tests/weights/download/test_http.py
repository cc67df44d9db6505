"""Downloads from a good server and from bad ones."""

import socket
import time

import pytest

from convae_zoo.errors import UsageError, WeightsError
from convae_zoo.weights.download.http import Downloader

BODY = bytes(range(256)) * 1200


@pytest.fixture
def output(tmp_path):
    """An empty file, as pooch makes it."""
    path = tmp_path / "x"
    path.touch()
    return path


def failure(url, output, **changes):
    """Run a download that must fail quickly, and return its message."""
    start = time.monotonic()
    with pytest.raises(WeightsError) as caught:
        Downloader(**changes)(url, str(output))
    assert time.monotonic() - start < 5
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_file_is_downloaded_completely(server, output):
    Downloader()(server.offer("/x", BODY), str(output))
    assert output.read_bytes() == BODY


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (304, "the server refuses the request (HTTP 304)"),
        (400, "the server refuses the request (HTTP 400)"),
        (401, "check the login"),
        (404, "no such file (HTTP 404)"),
        (429, "too many requests; try again later"),
        (500, "the server failed; try again later (HTTP 500)"),
    ],
)
def test_a_refusal_is_explained(server, faults, output, code, reason):
    assert reason in failure(server.tell("/x", faults.status(code)), output)
    assert len(server.requests) == 1


@pytest.mark.parametrize("length", ["307201", str(5 * 2**30), "9" * 5000])
def test_a_declared_length_above_the_bound_is_refused_unread(server, output, length):
    url = server.tell("/x", lambda h: h.head(200, length))
    line = failure(url, output, max_bytes=len(BODY))
    assert "sends more than the expected 307200 bytes; nothing was kept" in line


def test_an_endless_response_is_cut_off(server, faults, output):
    line = failure(server.tell("/x", faults.endless), output, max_bytes=1_000_000)
    assert "sends more than the expected 1000000 bytes" in line
    assert output.stat().st_size <= 1_000_000


def test_a_silent_server_is_abandoned(server, faults, output):
    line = failure(server.tell("/x", faults.silent), output)
    assert "sent nothing for 1 s; try again later, or set CONVAE_ZOO_TIMEOUT" in line


def test_a_body_that_stalls_is_abandoned(server, faults, output):
    assert "sent nothing for 1 s" in failure(server.tell("/x", faults.stall(BODY, 5000)), output)


def test_a_server_that_never_accepts_is_abandoned(output):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/x"
        assert "sent nothing for 1 s" in failure(url, output)


def test_a_server_that_is_down_is_reported(output):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/x"
    assert "cannot be reached: Connection refused; check the network" in failure(url, output)


def test_a_response_that_is_not_http_is_reported(server, output):
    nonsense = lambda h: h.wfile.write(b"SSH-2.0-\x1b[31mOpenSSH_9.6\r\n\r\n")  # noqa: E731
    assert "\x1b" not in failure(server.tell("/x", nonsense), output)


def test_a_connection_that_breaks_is_reported(server, faults, output):
    for fault in (faults.cut(BODY, 5000), faults.reset(BODY, 100_000)):
        assert "broke off" in failure(server.tell("/x", fault), output)


@pytest.mark.parametrize("seconds", ["1e300", "inf", "nan", "0", "-1", "soon", ""])
def test_an_impossible_timeout_is_refused(server, output, monkeypatch, seconds):
    monkeypatch.setenv("CONVAE_ZOO_TIMEOUT", seconds)
    with pytest.raises(UsageError, match=r"^CONVAE_ZOO_TIMEOUT must be .*, got '.*'$"):
        Downloader()(server.offer("/x", BODY), str(output))


# Redirects and logins.


def test_redirects_are_followed(server, faults, output):
    server.offer("/there", BODY)
    Downloader()(server.tell("/x", faults.redirect("/there")), str(output))
    assert output.read_bytes() == BODY


def test_a_redirect_loop_ends(server, faults, output):
    server.tell("/y", faults.redirect("/x"))
    assert "redirects without end" in failure(server.tell("/x", faults.redirect("/y")), output)


@pytest.mark.parametrize("target", ["http://example.org/x", "ftp://h/x", "file:///etc/passwd"])
def test_a_redirect_away_from_https_is_refused(server, faults, output, target):
    line = failure(server.tell("/x", faults.redirect(target)), output)
    assert f"redirects to {target}, which is not https" in line


def test_the_body_of_a_redirect_is_not_read(server, output):
    sent = []

    def endless(handler):
        handler.head(302, Location="/there", Transfer_Encoding="chunked")
        for _ in range(20_000):
            handler.wfile.write(b"1000\r\n" + bytes(4096) + b"\r\n")
            sent.append(4096)

    server.offer("/there", BODY)
    Downloader()(server.tell("/x", endless), str(output))
    assert output.read_bytes() == BODY
    assert len(sent) < 20_000


def test_credentials_are_not_sent_to_a_redirect_target(server, faults, output):
    server.offer("/cdn", BODY)
    url = server.tell("/x", faults.redirect(f"{server.other_host}/cdn"))
    Downloader(headers={"Authorization": "Bearer secret"})(url, str(output))
    assert server.asked("/x")[0]["Authorization"] == "Bearer secret"
    assert "Authorization" not in server.asked("/cdn")[0]


def test_credentials_in_netrc_are_not_sent(server, faults, output, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.offer("/cdn", BODY)
    Downloader()(server.tell("/x", faults.redirect(f"{server.other_host}/cdn")), str(output))
    assert not any("Authorization" in headers for _, _, headers in server.requests)


@pytest.mark.parametrize("url", ["http://example.org/x", "file:///x", "x", "https://"])
def test_an_address_without_https_is_refused(output, url):
    assert "is not an https address" in failure(url, output)
