"""What a source is: a file, a camera or a URL; how it is shown; which hosts it may lead to."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from jaxvlm.errors import InputError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_NO_PATH = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]+:|.*:.*@|.*\?.*=)", re.DOTALL)


def shown_source(source: str) -> str:
    """A source as messages may show it: no user, password, token or key is in it.

    Of a URL that is the scheme and the host with its port; the path is left out, because it may be
    a stream's key. As for FFmpeg, user and password end at the last "@" before the first of "/?#".
    Where another "@" comes later, they may hold one of these signs themselves, and the host is
    left out, too; so is one that cannot be a host. What is neither a URL nor a path is shown up to
    its first colon.

    >>> shown_source("rtsp://admin:p@ss@10.0.0.7:554/ch1?key=1")
    'rtsp://10.0.0.7:554/…'
    """
    if os.path.exists(source) or source.isdecimal():
        return source
    match = _URL.fullmatch(source)
    if match is None:
        if _NO_PATH.match(source):
            scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]+(?=:[/\\])", source)
            return f"{scheme[0]}:…" if scheme and "@" not in scheme[0] else "…"
        # A file that there is not: perhaps a URL whose scheme was forgotten.
        return source if "@" not in source else f"…{source[source.rindex('@') :]}"
    scheme, rest = match[1].lower(), match[2]
    if scheme == "file" and "@" not in rest:
        return f"file://{re.split(r'[?#]', rest)[0]}"
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    after = rest[len(authority) :]
    host = authority.rpartition("@")[2]
    if "@" in after or not _HOST.fullmatch(host):
        return f"{scheme}://…"
    return f"{scheme}://{host.lower()}{'/…' if after.strip('/') else ''}"


def file_of(source: str) -> Path | None:
    """The path that a source names, by itself or as ``file://``; None for a camera or a URL.

    Raises InputError where it looks like a file and there is none.
    """
    if os.path.isfile(source):
        return Path(source)
    match = _URL.fullmatch(source)
    if match and match[1].lower() == "file":
        authority, slash, path = match[2].partition("/")
        if authority in ("", "localhost"):
            for name in (slash + path, unquote(slash + path)):
                if os.path.isfile(name):
                    return Path(name)
        raise InputError(f"{shown_source(source)}: no such file; check the path")
    if match or source.isdecimal() or source.startswith("/dev/"):
        return None
    raise InputError(
        f"{shown_source(source)}: no such file; check the path, or give a camera's number or a URL"
    )


class Site(NamedTuple):
    """The host that the user named, and the others that it may lead to."""

    scheme: str
    host: str
    allowed: frozenset[str]


def site(url: str, allowed_hosts: Sequence[str] = ()) -> Site:
    """Raises InputError for a URL without a host."""
    name = host_of(url)
    if not name:
        raise InputError(f"{shown_source(url)}: names no host; check the address")
    return Site(_scheme(url), name, frozenset(h.lower() for h in allowed_hosts))


def refusal(url: str, named: Site) -> str | None:
    """Why a redirect or a playlist may not lead to this URL; None if it may.

    Only http and https, no step back from https to http, and only the host that was named or one
    that was allowed.
    """
    scheme = _scheme(url)
    if scheme.startswith("crypto"):
        return "its segments are encrypted, which is not supported"
    if scheme not in ("http", "https"):
        return f"it leads to {shown_source(url)}; only http and https are followed"
    if named.scheme == "https" and scheme == "http":
        return f"it leads to {shown_source(url)}, which is not encrypted"
    host = host_of(url)
    if host != named.host and host not in named.allowed:
        return f"it leads to the host {host or '…'}; allow it with --allowed_hosts if you trust it"
    return None


def _scheme(url: str) -> str:
    return re.split(r"[:/]", url, maxsplit=1)[0].lower()


def host_of(url: str) -> str:
    """As requests understands the URL, which is what is connected to."""
    try:
        return (parse_url(url).host or "").strip("[]").rstrip(".").lower()
    except LocationParseError:
        return ""
