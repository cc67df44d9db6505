"""Downloads from a good server and from bad ones."""

import socket
import time

import pytest

from convae_zoo.errors import WeightsError
from convae_zoo.weights.download.download import Download

BODY = bytes(range(256)) * 1200
TAG = '"one"'


@pytest.fixture
def part(tmp_path):
    return tmp_path / "x.part"


def failure(download):
    """Run a download that must fail within its time, and return its one line."""
    start = time.monotonic()
    with pytest.raises(WeightsError) as caught:
        download.run()
    assert time.monotonic() - start < 5
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_file_arrives_whole(server, part):
    Download(url=server.offer("/x", BODY), part=part, size=len(BODY)).run()
    assert part.read_bytes() == BODY


def test_a_finished_part_is_not_asked_for_again(server, part):
    part.write_bytes(BODY)
    Download(url=server.offer("/x", BODY), part=part, size=len(BODY)).run()
    assert server.requests == []


def test_a_finished_part_of_unknown_size_is_recognised(server, part):
    part.write_bytes(BODY)
    Download(url=server.offer("/x", BODY), part=part).run()
    assert part.read_bytes() == BODY
    assert len(server.requests) == 1


def test_a_broken_connection_is_resumed_where_it_broke(server, faults, part):
    url = server.tell("/x", faults.cut(BODY, 100_000, TAG), lambda h: h.file(BODY, TAG))
    Download(url=url, part=part).run()
    first, second = server.asked("/x")
    assert "Range" not in first
    assert (second["Range"], second["If-Range"]) == ("bytes=100000-", TAG)
    assert part.read_bytes() == BODY


def test_a_reset_connection_is_resumed(server, faults, part):
    url = server.tell("/x", faults.reset(BODY, 100_000), lambda h: h.file(BODY))
    Download(url=url, part=part).run()
    assert "Range" in server.asked("/x")[1]
    assert part.read_bytes() == BODY


def test_a_later_call_resumes_what_an_earlier_one_left(server, faults, part):
    line = failure(Download(url=server.tell("/x", faults.cut(BODY, 5000, TAG)), part=part))
    assert "broke off at 5000 of 307200 bytes" in line
    assert "5000 bytes are kept" in line
    Download(url=server.offer("/x", BODY, TAG), part=part).run()
    assert server.asked("/x")[-1]["Range"] == "bytes=5000-"
    assert part.read_bytes() == BODY


def test_a_file_that_changed_between_two_calls_starts_again(server, faults, part):
    failure(Download(url=server.tell("/x", faults.cut(BODY, 5000, TAG)), part=part))
    changed = BODY[::-1]
    Download(url=server.offer("/x", changed, '"two"'), part=part).run()
    assert part.read_bytes() == changed


def test_a_range_of_another_version_is_not_joined(server, faults, part):
    """A server that ignores If-Range still names the other tag in its answer."""
    failure(Download(url=server.tell("/x", faults.cut(BODY, 5000, TAG)), part=part))
    changed = BODY[::-1]

    def heedless(handler):
        del handler.headers["If-Range"]
        handler.file(changed, '"two"')

    Download(url=server.tell("/x", heedless), part=part).run()
    assert part.read_bytes() == changed


def test_a_server_that_ignores_ranges_starts_again(server, part):
    part.write_bytes(BODY[:5000])
    Download(url=server.tell("/x", lambda h: h.file(BODY, ranges=False)), part=part).run()
    assert part.read_bytes() == BODY


@pytest.mark.parametrize("extent", ["bytes 7-9/10", "bytes 0-9/10", "nonsense", ""])
def test_another_range_than_asked_is_not_joined(server, part, extent):
    part.write_bytes(BODY[:5000])
    lying = lambda h: h.send(206, b"lies", Content_Range=extent)  # noqa: E731
    Download(url=server.tell("/x", lying, lambda h: h.file(BODY)), part=part).run()
    assert part.read_bytes() == BODY


def test_a_part_longer_than_the_file_starts_again(server, part):
    part.write_bytes(BODY + b"more")
    Download(url=server.offer("/x", BODY), part=part).run()
    assert part.read_bytes() == BODY


def test_the_servers_own_failure_is_tried_again(server, faults, part):
    url = server.tell("/x", faults.status(503), faults.status(500), lambda h: h.file(BODY))
    Download(url=url, part=part).run()
    assert part.read_bytes() == BODY


@pytest.mark.parametrize(
    ("code", "reason", "tries"),
    [
        (400, "refuses the request (HTTP 400)", 1),
        (401, "may need a login", 1),
        (403, "may need a login", 1),
        (404, "has no such file", 1),
        (429, "wants fewer requests", 1),
        (500, "failed (HTTP 500); try again later", 3),
    ],
)
def test_a_refusal_is_told(server, faults, part, code, reason, tries):
    assert reason in failure(Download(url=server.tell("/x", faults.status(code)), part=part))
    assert len(server.requests) == tries
    assert not part.exists()


@pytest.mark.parametrize("length", ["4000", "99999999"])
def test_a_declared_length_other_than_the_known_size_is_refused(server, part, length):
    lying = lambda h: h.head(200, length)  # noqa: E731
    line = failure(Download(url=server.tell("/x", lying), part=part, size=len(BODY)))
    assert f"has {length} bytes where 307200 were expected" in line
    assert not part.exists()


def test_a_declared_length_beyond_the_largest_is_refused(server, part):
    lying = lambda h: h.head(200, 5 * 2**30)  # noqa: E731
    assert "at most 4294967296 are expected" in failure(
        Download(url=server.tell("/x", lying), part=part)
    )


def test_an_answer_without_an_end_is_cut_off(server, faults, part):
    url = server.tell("/x", faults.endless)
    line = failure(Download(url=url, part=part, largest=1_000_000))
    assert "sends more than 1000000 bytes; nothing was kept" in line
    assert not part.exists()


def test_a_silent_server_is_given_up(server, faults, part):
    line = failure(Download(url=server.tell("/x", faults.silent), part=part))
    assert "gave nothing, or next to nothing, for 1 s" in line
    assert "CONVAE_ZOO_TIMEOUT" in line


def test_a_body_that_drips_is_given_up(server, faults, part):
    assert "next to nothing" in failure(
        Download(url=server.tell("/x", faults.dribble(BODY)), part=part)
    )


def test_headers_that_drip_are_given_up(server, faults, part):
    assert "next to nothing" in failure(
        Download(url=server.tell("/x", faults.dribbled_head), part=part)
    )


def test_no_server_at_all_is_told(part):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/x"
    assert "cannot be reached" in failure(Download(url=url, part=part))


def test_a_server_that_never_accepts_is_given_up(part):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/x"
        assert "next to nothing" in failure(Download(url=url, part=part))


def test_what_is_no_http_at_all_is_told(server, part):
    nonsense = lambda h: h.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")  # noqa: E731
    assert "broke off" in failure(Download(url=server.tell("/x", nonsense), part=part))


def test_redirects_are_followed(server, faults, part):
    server.offer("/there", BODY)
    Download(url=server.tell("/x", faults.redirect("/there")), part=part).run()
    assert part.read_bytes() == BODY


def test_redirects_in_a_circle_end(server, faults, part):
    server.tell("/y", faults.redirect("/x"))
    line = failure(Download(url=server.tell("/x", faults.redirect("/y")), part=part))
    assert "redirects without an end" in line


@pytest.mark.parametrize("where", ["http://example.org/x", "ftp://h/x"])
def test_a_redirect_away_from_https_is_refused(server, faults, part, where):
    line = failure(Download(url=server.tell("/x", faults.redirect(where)), part=part))
    assert f"redirects to {where}, which is not https" in line


def test_a_login_is_not_sent_to_where_the_hub_redirects(server, faults, part):
    server.offer("/cdn", BODY)
    elsewhere = f"{server.url.replace('127.0.0.1', 'localhost')}/cdn"
    url = server.tell("/x", faults.redirect(elsewhere))
    Download(url=url, part=part, headers={"Authorization": "Bearer secret"}).run()
    assert server.asked("/x")[0]["Authorization"] == "Bearer secret"
    assert "Authorization" not in server.asked("/cdn")[0]


@pytest.mark.parametrize("url", ["http://example.org/x", "file:///x", "x", "https://"])
def test_an_address_without_https_is_refused(part, url):
    assert "is not an https address" in failure(Download(url=url, part=part))


def test_a_redirect_to_a_file_is_refused(server, faults, part):
    url = server.tell("/x", faults.redirect("file:///etc/passwd"))
    assert "to where nothing is fetched from" in failure(Download(url=url, part=part))
