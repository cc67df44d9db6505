"""The app's server: on this machine only, its errors are one line."""

import http.client
import sys
import time
from urllib.parse import urlparse

import pytest

from convae_zoo.cli import main


def get(server, host=None):
    address = urlparse(server.url)
    for _ in range(100):  # it starts in another thread
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        try:
            connection.request("GET", "/", headers={"Host": host} if host else {})
        except ConnectionRefusedError:
            time.sleep(0.1)
            continue
        return connection.getresponse()
    raise AssertionError("it does not listen")


@pytest.mark.slow
def test_the_page_forbids_itself_what_is_on_other_machines(server):
    response = get(server)
    assert response.status == 200
    policy = response.getheader("Content-Security-Policy")
    assert policy.startswith("default-src 'self'; ")
    assert "//" not in policy


@pytest.mark.slow
def test_another_name_for_this_machine_is_refused(server):
    assert get(server, "evil.example").status == 403


@pytest.mark.slow
def test_a_port_that_is_in_use_is_named_in_one_line(server, capsys):
    port = str(urlparse(server.url).port)
    assert main(["app", "--port", port, "--device", "cpu"]) == 2
    printed = capsys.readouterr().err.strip().splitlines()
    assert len(printed) == 1
    assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in printed[0]


def test_without_gradio_one_line_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "convae_zoo.app.server", raising=False)
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["app"]) == 2
    assert capsys.readouterr().err == (
        "error: the app needs Gradio: pip install 'convae-zoo[app]'\n"
    )
