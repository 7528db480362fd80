"""/metrics and /healthz over HTTP, on loopback unless told otherwise."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST

from jaxvlm import bounds
from jaxvlm.alarms.figures import Figures
from jaxvlm.errors import InputError

LOOPBACK = "127.0.0.1"


@contextlib.contextmanager
def status_server(figures: Figures, port: int, host: str = LOOPBACK) -> Iterator[int]:
    """Answers GET /metrics (Prometheus' text format) and GET /healthz (JSON; 503 where no camera is
    alive) while the context is open; yields the port, which port 0 leaves to the system.

    Raises InputError: the port is taken, or the host is none of this machine's.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = bounds.ALARM_SECONDS  # of one that connects and says nothing
        server_version, sys_version = "jaxvlm", ""

        def do_GET(self) -> None:  # noqa: N802 (the base class's name)
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, figures.text())
            elif self.path == "/healthz":
                good, value = figures.health()
                body = json.dumps(value, indent=1).encode() + b"\n"
                self._answer(200 if good else 503, "application/json", body)
            else:
                self._answer(404, "text/plain", b"/metrics or /healthz\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: what is asked for every few seconds is no news."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that goes away is no news either."""

    try:
        server = Server((host, port), Handler)
    except (OSError, OverflowError) as error:
        cause = getattr(error, "strerror", None) or error
        raise InputError(
            f"--status_port={port}: {host} cannot be listened on ({cause}); choose another"
        ) from None
    thread = threading.Thread(target=server.serve_forever, name="status", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
