"""HTTP sources as files that FFmpeg reads, every address checked before it is asked.

FFmpeg would follow redirects and playlists wherever they lead; here each request is made in Python.
"""

import http
import time
from collections.abc import Callable
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import requests
import urllib3
from requests.auth import HTTPBasicAuth, HTTPDigestAuth

from jaxvlm.data.sources import Site, host_of, refusal, shown_source
from jaxvlm.errors import InputError

_REDIRECTS = 5
_NEAR = 1 << 18  # bytes; as far ahead, reading on is cheaper than asking again


def without_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """The URL without user and password, and these, percent-decoded; None if it has none.

    Raises InputError for what is no URL.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InputError(f"{shown_source(url)}: names no host; check the address") from None
    credentials, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = credentials.partition(":")
    return urlunsplit(parts._replace(netloc=host)), (unquote(user), unquote(password))


class Web:
    """Opens the URLs of one source for FFmpeg (`open` is PyAV's ``io_open``).

    An exception could not pass through FFmpeg: what fails is an empty file, and why is kept for
    `check`.
    """

    def __init__(self, named: Site, credentials: tuple[str, str] | None, timeout: float):
        self.named, self.credentials, self.timeout = named, credentials, timeout
        self.session = requests.Session()
        self.session.auth = lambda request: request  # not what ~/.netrc says
        self.session.headers = {"Accept-Encoding": "identity", "User-Agent": "jaxvlm"}
        self.failure: str | None = None
        self.first: WebFile | None = None
        self.opened: set[WebFile] = set()
        self.deadline = float("inf")

    def open(self, url: str, flags: int, options: dict[str, str]) -> "WebFile":
        """What FFmpeg asks for."""
        file = WebFile(self, url)
        self.first = self.first or file
        self.opened.add(file)
        return file

    @property
    def has_end(self) -> bool:
        """Whether the server said how long what was asked for first is."""
        return self.first is not None and self.first.size is not None

    def close(self) -> None:
        """Ends all connections."""
        for file in tuple(self.opened):  # FFmpeg closes what it could use alone
            file.close()
        self.session.close()

    def start(self) -> None:
        """From here on FFmpeg has the time-out for its next packet."""
        self.deadline = time.monotonic() + self.timeout

    def check(self, name: str) -> None:
        """Raises InputError if something that FFmpeg asked for was refused or failed."""
        if self.failure is not None:
            raise InputError(f"{name}: {self.failure}")

    def get(self, url: str, first: int) -> requests.Response:
        """The answer from byte ``first`` on, redirects followed where they may lead.

        Raises _Failed with the reason.
        """
        for _ in range(_REDIRECTS + 1):
            if reason := refusal(url, self.named):
                raise _Failed(reason)
            answer = self._ask(url, first)
            if not answer.is_redirect:
                return self._checked(answer)
            url = urljoin(url, answer.headers["location"])
            answer.close()
        raise _Failed(f"more than {_REDIRECTS} redirects")

    def _ask(self, url: str, first: int) -> requests.Response:
        options = {"stream": True, "allow_redirects": False, "timeout": self.timeout}
        options["headers"] = {"Range": f"bytes={first}-"} if first else {}
        answer = self.session.get(url, **options)
        own = host_of(url) == self.named.host
        if answer.status_code == http.HTTPStatus.UNAUTHORIZED and self.credentials and own:
            kind = answer.headers.get("www-authenticate", "").lower()
            scheme = HTTPDigestAuth if kind.startswith("digest") else HTTPBasicAuth
            answer.close()
            answer = self.session.get(url, auth=scheme(*self.credentials), **options)
        return answer

    def _checked(self, answer: requests.Response) -> requests.Response:
        if answer.status_code in (http.HTTPStatus.OK, http.HTTPStatus.PARTIAL_CONTENT):
            return answer
        answer.close()
        raise _Failed(f"the server answers {answer.status_code}; check the address")


class _Failed(Exception):
    pass


class WebFile:
    """A URL read in order, and from any place where the server allows it."""

    def __init__(self, web: Web, url: str):
        self.web, self.url, self.name = web, url, ""
        self.place, self.size, self.ranges = 0, None, False
        self.answer: requests.Response | None = None
        self._guarded(self._connect)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self.ranges and self.size is not None

    def read(self, size: int) -> bytes:
        if self.web.failure is not None or time.monotonic() > self.web.deadline:
            return b""
        return self._guarded(lambda: self._read(size)) or b""

    def seek(self, offset: int, whence: int = 0) -> int:
        place = offset + {0: 0, 1: self.place, 2: self.size or 0}[whence]
        if place < 0 or not self.seekable():
            return -1
        ahead = place - self.place
        if ahead and not (0 < ahead <= _NEAR and self.answer is not None):
            self._disconnect()
        while 0 < ahead and self.answer is not None:
            if not (passed := self.read(ahead)):
                return -1
            ahead -= len(passed)
        self.place = place
        return place

    def tell(self) -> int:
        return self.place

    def close(self) -> None:
        self.web.opened.discard(self)
        self._disconnect()

    def _disconnect(self) -> None:
        if self.answer is not None:
            self.answer.close()
            self.answer = None

    def _connect(self) -> None:
        self.answer = self.web.get(self.url, self.place)
        if self.place == 0:
            length = self.answer.headers.get("content-length", "")
            self.size = int(length) if length.isdecimal() else None
            self.ranges = self.answer.headers.get("accept-ranges", "") == "bytes"
        elif self.answer.status_code != http.HTTPStatus.PARTIAL_CONTENT:
            raise _Failed("the server ignores from where it was to send")

    def _read(self, size: int) -> bytes:
        if self.size is not None and self.place >= self.size:
            return b""
        if self.answer is None:
            self._connect()
        data = self.answer.raw.read1(size)
        self.place += len(data)
        if not data and self.size is not None:
            raise ConnectionError  # fewer bytes than were announced
        return data

    def _guarded(self, action: Callable[[], bytes | None]) -> bytes | None:
        try:
            return action()
        except _Failed as error:
            reason = str(error)
        except requests.exceptions.SSLError:
            reason = "its certificate is not trusted; REQUESTS_CA_BUNDLE can name another authority"
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            reason = f"no answer for {self.web.timeout:g} s; check the address"
        # Never their text: it has the address with everything in it.
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
            broken = "the connection broke off; check the source, or allow --reconnect"
            reason = broken if self.place else "cannot be reached; check the address"
        self.web.failure = self.web.failure or reason
        return None
