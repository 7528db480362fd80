"""One question to a server and its answer, within bounds of bytes and of time.

The time-out that requests takes is for each byte: an answer that drips would last for ever. Here
the connection is cut when the time for the whole is over, a TLS handshake and the headers included.
"""

import contextlib
import socket
import threading
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import requests
import urllib3

from jaxvlm import bounds

MAX_BYTES = bounds.ANSWER_BYTES
_CONNECT_TIMEOUT = 10.0  # seconds
_BLOCK = 2**16

_now = threading.local()  # .line: the connection that this thread asks over


class Reply(NamedTuple):
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    content: bytes  # decompressed
    raw: Any  # urllib3's response, read


class Unbounded(Exception):
    """An answer that is longer than MAX_BYTES, or compressed in a way that was not asked for."""


class _Line:
    """A connection that another thread can cut: a second handle on its socket.

    http.client closes a connection early, while its answer is still read from the socket; the
    handle stays until the answer is there.
    """

    handle: socket.socket | None = None
    in_use = False

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()  # type: ignore[misc]
        self.handle = made.dup()
        self._take()
        return made

    def request(self, *arguments: Any, **options: Any) -> None:
        self._take()
        super().request(*arguments, **options)  # type: ignore[misc]

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        self._drop()

    def cut(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # it is closed already
            self.handle.shutdown(socket.SHUT_RDWR)

    def leave(self) -> None:
        self.in_use = False
        self._drop()

    def _take(self) -> None:
        self.in_use, _now.line = True, self

    def _drop(self) -> None:
        if not self.in_use and self.sock is None and self.handle is not None:
            self.handle.close()


class _Http(urllib3.HTTPConnectionPool):
    class ConnectionCls(_Line, urllib3.HTTPConnectionPool.ConnectionCls):
        pass


class _Https(urllib3.HTTPSConnectionPool):
    class ConnectionCls(_Line, urllib3.HTTPSConnectionPool.ConnectionCls):
        pass


class Adapter(requests.adapters.HTTPAdapter):
    """Connections that `post` can cut, directly or over a proxy."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Http, "https": _Https}

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = {"http": _Http, "https": _Https}
        return manager


class Session(requests.Session):
    """A session that follows no redirect; requests would read its body, of any length."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def post(
    session: requests.Session,
    url: str,
    body: dict | bytes,
    *,
    timeout: float,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Posts JSON, a table or its bytes, and reads the answer.

    Raises:
      requests.Timeout: the answer is not whole after ``timeout`` seconds, however it comes.
      Unbounded: it is too long; or compressed in another way than gzip or deflate.
      requests.RequestException, urllib3.exceptions.HTTPError: it is cut, or none.
    """
    with _cut_after(timeout) as is_over:
        try:
            response = session.post(
                url,
                data=body if isinstance(body, bytes) else None,
                json=None if isinstance(body, bytes) else body,
                headers={"Accept-Encoding": "identity", **(headers or {})},  # answers are short
                timeout=(min(_CONNECT_TIMEOUT, timeout), timeout),
                stream=True,
            )
            with response:
                content = _read(response.raw)
        # A connection that was cut from outside ends in any of four libraries' errors.
        except Exception:
            if is_over.is_set():
                raise requests.Timeout from None
            raise
        if is_over.is_set():  # without Content-Length the cut looks like the end
            raise requests.Timeout
    return Reply(response.status_code, response.headers, content, response.raw)


@contextlib.contextmanager
def _cut_after(seconds: float) -> Iterator[threading.Event]:
    """An event that is set when the time is over; the connection then in use is cut."""
    is_over, is_done, place = threading.Event(), threading.Event(), _now.__dict__
    place.pop("line", None)

    def wait() -> None:
        if not is_done.wait(seconds):
            is_over.set()
            while not is_done.wait(0.05):  # a connection may be made after this one
                if line := place.get("line"):
                    line.cut()

    watcher = threading.Thread(target=wait, name="answer deadline", daemon=True)
    watcher.start()
    try:
        yield is_over
    finally:
        is_done.set()
        watcher.join()
        if line := place.get("line"):
            line.leave()


def _read(raw: urllib3.HTTPResponse) -> bytes:
    encoding = raw.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise Unbounded(f"the answer is compressed as {encoding!r}, which was not asked for")
    expand = None if encoding in ("identity", "") else _Expand(encoding)
    parts, size = [], 0
    while block := raw.read(_BLOCK, decode_content=False):
        part = block if expand is None else expand(block, MAX_BYTES + 1 - size)
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            raise Unbounded(f"the answer is longer than {MAX_BYTES:,} bytes")
    if expand is not None and not expand.stream.eof:
        raise urllib3.exceptions.IncompleteRead(size, 1)
    return b"".join(parts)


class _Expand:
    """Decompresses gzip, or deflate with or without zlib's head, to a bounded length."""

    def __init__(self, encoding: str):
        self.stream = zlib.decompressobj(47 if encoding != "deflate" else zlib.MAX_WBITS)
        self.bare = encoding == "deflate"

    def __call__(self, block: bytes, most: int) -> bytes:
        if self.stream.eof:  # what comes behind is passed over
            return b""
        try:
            part = self.stream.decompress(block, most)
        except zlib.error as error:
            if not self.bare:
                raise urllib3.exceptions.DecodeError(str(error)) from None
            self.stream, self.bare = zlib.decompressobj(-zlib.MAX_WBITS), False
            return self(block, most)
        self.bare = False
        return part
