"""A local server that implements the Hub's protocol and can be told to misbehave."""

import base64
import contextlib
import hashlib
import json
import re
import secrets
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import attrs
import pytest
import torch

import convae_zoo as zoo


def sha256(body):
    return hashlib.sha256(body).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length", 0))
        self.body = self.rfile.read(length)
        self.place = unquote(urlsplit(self.path).path)
        self.server.requests.append((self.command, self.place, dict(self.headers)))
        with contextlib.suppress(ConnectionError):
            self.server.behaviour(self.place)(self)

    do_GET = do_POST = do_PUT = answer  # noqa: N815 - names that http.server calls

    def log_message(self, *_):
        pass

    def head(self, status, length=None, **headers):
        """Send the head; `length` may lie."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def send(self, status, body=b"", **headers):
        self.head(status, len(body), **headers)
        self.wfile.write(body)

    def json(self, value, status=200, **headers):
        self.send(status, json.dumps(value).encode(), Content_Type="application/json", **headers)

    def reset(self):
        """Close the connection with a reset."""
        self.wfile.flush()
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True


@attrs.define
class Repository:
    """What the server's Hub holds under one name."""

    files: dict = attrs.field(factory=dict)
    private: bool = False
    commit: str = "a" * 40
    branches: set = attrs.field(factory=lambda: {"main"})
    plain: set = attrs.field(factory=lambda: {"README.md"})


class Server(ThreadingHTTPServer):
    """Responds as configured for a path, otherwise as the Hub would.

    `told[path]` lists behaviours, one a request; the last stays.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.other_host = f"http://localhost:{self.server_port}"
        self.requests, self.told, self.repositories, self.uploads = [], {}, {}, {}
        self.stopping = threading.Event()

    def handle_error(self, *_):
        pass

    def tell(self, path, *behaviours):
        self.told[path] = list(behaviours)
        return self.url + path

    def offer(self, path, body):
        return self.tell(path, lambda handler: handler.send(200, body))

    def asked(self, path, method="GET"):
        return [headers for m, p, headers in self.requests if (m, p) == (method, path)]

    def behaviour(self, path):
        told = self.told.get(path)
        if told is None:
            return self.hub
        return told.pop(0) if len(told) > 1 else told[0]

    def pause(self, seconds):
        self.stopping.wait(seconds)

    # The Hub's protocol: look-up, download and upload.

    def hub(self, handler):
        for pattern, method in _ROUTES:
            found = re.fullmatch(pattern, f"{handler.command} {handler.place}")
            if found:
                return getattr(self, method)(handler, **found.groupdict())
        return handler.json({"error": "no such page"}, 404)

    def find(self, handler, repo, revision="main"):
        """Find a repository, or respond as the Hub does if there is none."""
        repository = self.repositories.get(repo)
        if repository is None or (repository.private and "Authorization" not in handler.headers):
            handler.json({"error": "Repository not found"}, 401, X_Error_Code="RepoNotFound")
        elif revision not in repository.branches | {repository.commit}:
            handler.json({"error": "Invalid rev"}, 404, X_Error_Code="RevisionNotFound")
        else:
            return repository
        return None

    def hub_info(self, handler, repo, revision="main"):
        repository = self.find(handler, repo, revision)
        if repository is None:
            return
        siblings = []
        for name, body in repository.files.items():
            sibling = {"rfilename": name, "size": len(body), "blobId": "b" * 40}
            if name not in repository.plain:
                sibling["lfs"] = {"sha256": sha256(body), "size": len(body), "pointerSize": 134}
            siblings.append(sibling)
        info = {"id": repo, "sha": repository.commit, "private": repository.private}
        handler.json(info | {"siblings": siblings})

    def hub_resolve(self, handler, repo, revision, file):
        repository = self.find(handler, repo, revision)
        if repository is None:
            return
        if file not in repository.files:
            handler.json({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
            return
        body, commit = repository.files[file], repository.commit
        if file in repository.plain:
            handler.send(200, body, ETag=f'"{"c" * 40}"', X_Repo_Commit=commit)
            return
        digest = sha256(body)
        linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(body))}
        location = f"{self.other_host}/cdn/{digest}"
        handler.send(302, b"", Location=location, X_Repo_Commit=commit, **linked)

    def hub_cdn(self, handler, digest):
        bodies = [b for r in self.repositories.values() for b in r.files.values()]
        body = next(b for b in bodies if sha256(b) == digest)
        handler.send(200, body)

    def hub_create(self, handler):
        wanted = json.loads(handler.body)
        name = f"{wanted['organization']}/{wanted['name']}"
        exists = name in self.repositories
        private = wanted.get("visibility") == "private" or wanted.get("private") is True
        self.repositories.setdefault(name, Repository(private=private))
        handler.json({"url": f"{self.url}/{name}"}, 409 if exists else 200)

    def hub_branch(self, handler, repo, revision):
        self.repositories[repo].branches.add(revision)
        handler.json({})

    def hub_yaml(self, handler):
        handler.json({"errors": [], "warnings": []})

    def hub_preupload(self, handler, repo, revision):
        repository = self.find(handler, repo, revision)
        files = json.loads(handler.body)["files"]
        kind = {True: "regular", False: "lfs"}
        modes = [
            {"path": f["path"], "uploadMode": kind[f["path"] in repository.plain]} for f in files
        ]
        handler.json({"files": [m | {"shouldIgnore": False} for m in modes]})

    def hub_batch(self, handler, repo):  # noqa: ARG002 - the route gives it
        objects = [
            o | {"actions": {"upload": {"href": f"{self.url}/upload/{o['oid']}"}}}
            for o in json.loads(handler.body)["objects"]
        ]
        handler.json({"transfer": "basic", "objects": objects})

    def hub_upload(self, handler, digest):
        self.uploads[digest] = handler.body
        handler.send(200)

    def hub_commit(self, handler, repo, revision):
        repository = self.find(handler, repo, revision)
        for line in handler.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                repository.files[value["path"]] = self.uploads[value["oid"]]
        repository.commit = secrets.token_hex(20)
        where = f"{self.url}/{repo}/commit/{repository.commit}"
        handler.json({"success": True, "commitUrl": where, "commitOid": repository.commit})


_REPO = r"(?P<repo>[^/]+/[^/]+)"
_ROUTES = (
    (rf"GET /api/models/{_REPO}", "hub_info"),
    (rf"GET /api/models/{_REPO}/revision/(?P<revision>.+)", "hub_info"),
    (rf"GET /{_REPO}/resolve/(?P<revision>[^/]+)/(?P<file>.+)", "hub_resolve"),
    (r"GET /cdn/(?P<digest>.+)", "hub_cdn"),
    (r"POST /api/repos/create", "hub_create"),
    (r"POST /api/validate-yaml", "hub_yaml"),
    (rf"POST /api/models/{_REPO}/branch/(?P<revision>.+)", "hub_branch"),
    (rf"POST /api/models/{_REPO}/preupload/(?P<revision>.+)", "hub_preupload"),
    (rf"POST /{_REPO}\.git/info/lfs/objects/batch", "hub_batch"),
    (r"PUT /upload/(?P<digest>.+)", "hub_upload"),
    (rf"POST /api/models/{_REPO}/commit/(?P<revision>.+)", "hub_commit"),
)


class Faults:
    """Behaviours of a bad server."""

    @staticmethod
    def status(code, **headers):
        return lambda handler: handler.send(code, b"so it is", **headers)

    @staticmethod
    def redirect(where):
        return lambda handler: handler.send(302, b"", Location=where)

    @staticmethod
    def cut(body, at):
        """Declare the whole file, and close the connection at some byte."""

        def behave(handler):
            handler.head(200, len(body))
            handler.wfile.write(body[:at])
            handler.close_connection = True

        return behave

    @staticmethod
    def reset(body, at):
        def behave(handler):
            handler.head(200, len(body))
            handler.wfile.write(body[:at])
            handler.wfile.flush()
            time.sleep(0.2)  # lets what was sent arrive before the reset discards it
            handler.reset()

        return behave

    @staticmethod
    def silent(handler):
        handler.server.pause(30)
        handler.close_connection = True

    @staticmethod
    def stall(body, at):
        """Declare the whole file, then stall after some byte."""

        def behave(handler):
            handler.head(200, len(body))
            handler.wfile.write(body[:at])
            handler.server.pause(30)
            handler.close_connection = True

        return behave

    @staticmethod
    def endless(handler):
        """Send chunks without an end."""
        handler.head(200, Transfer_Encoding="chunked")
        for _ in range(5000):
            handler.wfile.write(b"1000\r\n" + bytes(4096) + b"\r\n")


@pytest.fixture(scope="session")
def model():
    torch.manual_seed(0)
    return zoo.create_model("convae-200", width=2, latent_dim=3, image_size=8)


@pytest.fixture(scope="session")
def weights_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "mine.safetensors"
    metrics = {"val": {"mse": 0.0123, "psnr": 25.5}, "images": 100}
    dataset = {"name": "photos", "fingerprint": "abc"}
    zoo.save_model(model, path, metrics=metrics, dataset=dataset, license="Apache-2.0")
    return path


@pytest.fixture(scope="session")
def body(weights_file):
    return weights_file.read_bytes()


@pytest.fixture
def faults():
    return Faults


@pytest.fixture
def server():
    running = Server()
    thread = threading.Thread(target=running.serve_forever, args=(0.02,))
    thread.start()
    yield running
    running.stopping.set()
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def repository():
    return Repository


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path, server):
    """An empty cache, the local server as the Hub, no login, and a short timeout."""
    from huggingface_hub import constants

    settings = {
        "CONVAE_ZOO_CACHE": str(tmp_path / "cache"),
        "CONVAE_ZOO_TIMEOUT": "1",
        "HF_ENDPOINT": server.url,
        "HF_TOKEN_PATH": str(tmp_path / "token"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "*",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for name in ("CONVAE_ZOO_OFFLINE", "HF_HUB_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    # The library reads these once, when it is imported.
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", settings["HF_TOKEN_PATH"])
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)


@pytest.fixture
def weights_cache(tmp_path):
    return tmp_path / "cache" / "weights"
