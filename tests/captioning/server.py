"""A chat server on loopback that answers as it is told to, and keeps what it was asked."""

import base64
import contextlib
import hashlib
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Reply(NamedTuple):
    """What goes over the wire: ``length`` other than that of the body cuts the answer."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None
    hang_up: bool = False  # without a byte


class Asked(NamedTuple):
    """One request as the server got it."""

    picture: str  # hash of the JPEG
    body: dict
    headers: dict
    path: str


def completion(content, **message) -> Reply:
    """A chat completion whose message has this content."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}}
    return Reply(json.dumps({"object": "chat.completion", "choices": [choice]}).encode())


class Server:
    """``reply(asked, n)`` gives the reply to the n-th request (from 0) for a picture."""

    def __init__(self, reply):
        self.reply, self.asked = reply, []
        self.counts: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = 0
        self.lock = threading.Lock()
        self.url = ""

    def take(self, handler) -> Reply:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        url = body["messages"][0]["content"][0]["image_url"]["url"]
        jpeg = base64.b64decode(url.removeprefix("data:image/jpeg;base64,"), validate=True)
        asked = Asked(hashlib.sha256(jpeg).hexdigest(), body, dict(handler.headers), handler.path)
        with self.lock:
            self.asked.append(asked)
            number = self.counts[asked.picture]
            self.counts[asked.picture] += 1
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return self.reply(asked, number)
        finally:
            with self.lock:
                self.in_flight -= 1


@contextlib.contextmanager
def serve(reply):
    """A ``Server`` on a free port of 127.0.0.1, until the block ends."""
    server = Server(reply)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or each answer waits 40 ms for the client's ACK

        def do_POST(self):
            answer = server.take(self)
            if answer.hang_up:
                self.close_connection = True
                return
            # The client may be gone: it timed out, or was killed.
            with contextlib.suppress(ConnectionError):
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                length = len(answer.body) if answer.length is None else answer.length
                self.send_header("Content-Length", str(length))
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)
                self.close_connection = length != len(answer.body)

        def handle(self):
            with contextlib.suppress(ConnectionError):
                super().handle()

        def log_message(self, *arguments):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
