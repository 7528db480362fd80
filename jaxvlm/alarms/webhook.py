"""Alarms to a web address, signed.

Headers and signature are those of Standard Webhooks (https://www.standardwebhooks.com), for which
most languages have a library: webhook-id, webhook-timestamp, webhook-signature =
"v1," + base64(HMAC-SHA256(secret, id "." timestamp "." body)).
"""

import base64
import binascii
import hashlib
import hmac
import os
import time
from collections.abc import Callable

import requests
import urllib3

from jaxvlm import bounds
from jaxvlm.alarms.sender import NotDelivered, Refused
from jaxvlm.data import transport
from jaxvlm.data.sources import host_of, shown_source
from jaxvlm.data.web import without_credentials
from jaxvlm.errors import InputError
from jaxvlm.reading import read_bounded

VARIABLE = "JAXVLM_WEBHOOK_SECRET"
_PREFIX = "whsec_"
_SHORTEST = 16  # bytes
_LONGEST = 4_096
_REFUSED = (400, 413, 415, 422)  # the message itself is wrong: it would never be taken


def read_secret(file: str | os.PathLike | None) -> bytes:
    """The secret of a file or, without one, of the variable `VARIABLE`: text, or ``whsec_`` and
    base64, as Standard Webhooks writes it.

    Raises InputError: there is none, it is too short, or no base64.
    """
    if file is not None:
        text, place = read_bounded(file, _LONGEST, cure="give a file with a secret alone"), file
    else:
        text, place = os.environ.get(VARIABLE, "").encode("utf-8", "surrogateescape"), VARIABLE
        if not text:
            raise InputError(
                f"--webhook: no secret to sign with; set {VARIABLE}, or give --webhook_secret_file"
            )
    text = text.strip()
    if text.startswith(_PREFIX.encode()):
        try:
            text = base64.b64decode(text.removeprefix(_PREFIX.encode()), validate=True)
        except binascii.Error:
            raise InputError(f"{place}: no base64 after {_PREFIX}; correct it") from None
    if len(text) < _SHORTEST:
        raise InputError(f"{place}: a secret of fewer than {_SHORTEST} bytes; take a longer one")
    return text


def sign(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The header webhook-signature."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()}"


def webhook(url: str, secret: bytes) -> Callable[[str, bytes], None]:
    """The function that posts a message, for a `Sender`. The address is told by its host alone.

    A message is delivered where the answer is 2xx, refused where it says that the message itself is
    wrong (400, 413, 415, 422), else to be tried again. A redirect is not followed, to no host.

    Raises InputError: neither http nor https, or no host.
    """
    place = shown_source(url)
    if url.partition("://")[0].lower() not in ("http", "https"):
        raise InputError(f"--webhook={place}: only http and https; correct it")
    address, credentials = without_credentials(url)
    if not host_of(address):
        raise InputError(f"--webhook={place}: names no host; correct it")
    session = transport.Session()
    session.auth = lambda request: request  # not what ~/.netrc says
    if credentials is not None:
        session.auth = requests.auth.HTTPBasicAuth(*credentials)
    for scheme in ("http://", "https://"):
        session.mount(scheme, transport.Adapter())

    def deliver(message_id: str, body: bytes) -> None:
        now = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "jaxvlm",
            "webhook-id": message_id,
            "webhook-timestamp": str(now),
            "webhook-signature": sign(secret, message_id, now, body),
        }
        try:
            reply = transport.post(
                session, address, body, timeout=bounds.ALARM_SECONDS, headers=headers
            )
        except requests.Timeout:
            raise NotDelivered(f"{place}: no answer for {bounds.ALARM_SECONDS:g} s") from None
        except requests.exceptions.SSLError:
            raise NotDelivered(f"{place}: its certificate is not trusted") from None
        except transport.Unbounded as error:
            raise NotDelivered(f"{place}: {error}") from None
        # Never their text: it has the address with everything in it.
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
            raise NotDelivered(f"{place}: cannot be reached") from None
        if 200 <= reply.status < 300:
            return
        told = f"{place}: answers {reply.status}"
        if 300 <= reply.status < 400:
            told += ", and redirects are not followed"
        raise (Refused if reply.status in _REFUSED else NotDelivered)(told)

    return deliver
