"""Serves the page, on this machine only unless told, without a request to any other."""

import contextlib
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import attrs

from convae_zoo.app.models import Models
from convae_zoo.app.result import MAX_PIXELS
from convae_zoo.errors import UsageError

# Read when Gradio is imported; without them it sends what is used, and looks for a new version.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

try:
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI, Request, Response
    from starlette.middleware.base import BaseHTTPMiddleware
except ImportError as error:
    raise UsageError("the app needs Gradio: pip install 'convae-zoo[app]'") from error

from convae_zoo.app.page import CSS, Page

HOST, PORT = "127.0.0.1", 7860
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; worker-src 'self' blob:; "
    "object-src 'none'"
)
"""The browser loads nothing from another machine, whatever the page asks for."""


@attrs.frozen
class Server:
    """A server whose address is taken.

    Attributes:
        url: of the page.
    """

    url: str
    _server: uvicorn.Server
    _socket: socket.socket

    def run(self) -> None:
        """Serve until `stop` or Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Make `run` return, from any thread."""
        self._server.should_exit = True


_NAMED_BY_TEXT = """<script>
new MutationObserver(() => {
  for (const button of document.querySelectorAll("button[aria-label]")) {
    const text = button.textContent.trim();
    if (text && !button.ariaLabel.includes(text)) button.removeAttribute("aria-label");
  }
}).observe(document, { childList: true, subtree: true });
</script>"""
"""Names a button by its text where Gradio names it otherwise: speech input takes what is seen."""


@contextlib.contextmanager
def create_server(
    models: Models, *, host: str = HOST, port: int = PORT, max_pixels: int = MAX_PIXELS
) -> Iterator[Server]:
    """Create the server of the page; files that were uploaded are removed at the end.

    Args:
        models: to choose from.
        host: the address to listen on; ``0.0.0.0`` lets other machines in.
        port: 0 for any that is free.
        max_pixels: a picture with more is refused.

    Raises:
        UsageError: the address cannot be used.
    """
    bound = _bind(host, port)
    with bound, tempfile.TemporaryDirectory(prefix="convae-zoo-app-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        _guard(app, only_local=host in _LOCAL)
        gr.mount_gradio_app(
            app,
            Page(models, Path(folder), max_pixels).build(),
            path="/",
            server_name=host,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            show_error=False,
            theme=_theme(),
            css=CSS,
            head=_NAMED_BY_TEXT,
        )
        config = uvicorn.Config(app, log_level="warning", access_log=False)
        shown = f"[{host}]" if ":" in host else host
        yield Server(f"http://{shown}:{bound.getsockname()[1]}", uvicorn.Server(config), bound)


def _theme() -> gr.themes.Base:
    """Return a theme with this machine's fonts, and contrast enough for small text."""
    theme = gr.themes.Base(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    return theme.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_label_text_color="*neutral_600",
        block_title_text_color="*neutral_700",
        input_placeholder_color="*neutral_600",
        input_placeholder_color_dark="*neutral_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
    )


def _guard(app: FastAPI, *, only_local: bool) -> None:
    """Send the policy with each response; refuse other names of this machine where it is local.

    A page of another site can give its own name this machine's address, and would then be let in.
    """

    async def guard(
        request: Request, proceed: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        if only_local and request.url.hostname not in _LOCAL:
            return Response("open the app by the address that it printed", status_code=403)
        response = await proceed(request)
        response.headers["Content-Security-Policy"] = _POLICY
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=guard)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise UsageError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; choose another "
            "--host or --port"
        ) from error
    return bound
