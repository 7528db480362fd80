"""A receiver of webhooks on loopback: checks signatures by itself, answers as it is told."""

import base64
import contextlib
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = b"a secret of the tests' receiver"


class Receiver:
    """``answer(number, message)`` gives (status, headers, body) of the number-th request."""

    def __init__(self, answer=lambda number, message: (204, {}, b""), secret=SECRET):
        self.answer, self.secret = answer, secret
        self.requests = []  # (path, headers, body)
        self.lock = threading.Lock()
        self.url = ""

    @property
    def messages(self):
        """By id, of what was answered with 2xx."""
        return {headers["webhook-id"]: json.loads(body) for _, headers, body in self.taken}

    @property
    def taken(self):
        return [request[:3] for request in self.requests if request[3] // 100 == 2]

    def receive(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode()])
        digest = hmac.new(self.secret, signed + b"." + body, hashlib.sha256).digest()
        good = headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
        with self.lock:
            number = len(self.requests)
            status, extra, text = self.answer(number, json.loads(body))
            status = status if good else 401
            self.requests.append((handler.path, headers, body, status))
        handler.send_response(status)
        for name, value in extra.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)


@contextlib.contextmanager
def receiving(receiver, port=0):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            with contextlib.suppress(OSError):
                receiver.receive(self)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):  # the client was killed
            pass

    server = Server(("127.0.0.1", port), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
