"""Captions from an OpenAI-compatible server: vLLM, SGLang, Ollama, or one far away.

The server batches and distributes; here are a limit on the requests in flight and patience.
"""

import base64
import dataclasses
import itertools
import random
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from jaxvlm import bounded_json
from jaxvlm.captioning.pictures import encode_jpeg
from jaxvlm.captioning.request import MORE, MORE_TOKENS, Answer, Ask, Request, one_line
from jaxvlm.data import transport
from jaxvlm.errors import ITEM_ERRORS, InputError, item_failure

_LONGEST_DELAY = 60.0  # seconds of back-off
_LONGEST_WAIT = 600.0  # seconds that a server may ask for with Retry-After
# What holds for every frame: the key, the address or the model is wrong.
_FATAL = {401, 403, 404, 405}
_BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError)


class _Unanswered(Exception):
    """One attempt without an answer: why, and whether and how soon another may help."""

    def __init__(self, cause: str, *, again: bool = False, after: float = 0.0):
        super().__init__(cause)
        self.again, self.after = again, after


class _Cut(_Unanswered):
    """An answer that ended for its length, or before it began."""


@dataclasses.dataclass
class _Dialect:
    """What a server wants otherwise than the first question had it; found out as it refuses.

    more: the factors of tokens without which an answer of it was cut.
    """

    tokens: str = "max_tokens"
    temperature: bool = True
    more: tuple[int, ...] = (1, *MORE)

    def options(self, tokens: int) -> dict[str, Any]:
        return {self.tokens: tokens} | ({"temperature": 0} if self.temperature else {})

    def learns(self, asked: Mapping[str, Any], reply: transport.Reply) -> bool:
        """Whether to ask otherwise than with these options, which were refused."""
        if reply.status not in (400, 422):
            return False
        told = _message_of(reply)
        if "max_completion_tokens" in told:
            self.tokens = "max_completion_tokens"
        if "temperature" in told:
            self.temperature = False
        return asked.keys() != self.options(0).keys()  # another thread may have learned it


def openai_backend(
    request: Request,
    *,
    base_url: str | None,
    api_key: str | None = None,
    concurrency: int = 8,
    timeout: float = 120.0,
    retries: int = 5,
    backoff: float = 1.0,
) -> Ask:
    """A backend that posts every frame to ``base_url``/chat/completions as a JPEG.

    An answer is read within the bounds of ``transport.post``; ``timeout`` is for the whole of it.
    Answers 408, 429 and 5xx, broken connections, cut answers and time-outs are tried again, up to
    ``retries`` times: attempt n after backoff·2ⁿ seconds, shortened by up to half by chance (fixed
    by the frame's name), or later if Retry-After says so. An answer that ended for its length, or
    has no content, is asked for again with 4 and 16 times the tokens. A server that refuses
    ``max_tokens`` or a temperature of 0 gets ``max_completion_tokens`` or none. Frames of more than
    ``max_pixels`` are made smaller. The key is sent to this server alone and never shown.

    Raises:
      InputError: ``base_url`` is no http address; the key is no header. When used: the server
        knows no such key, model or address.
    """
    where = _address(base_url)
    url = base_url.rstrip("/") + "/chat/completions"
    if api_key and not (api_key.isascii() and api_key.isprintable()):
        raise InputError("the API key: holds other than printable ASCII; correct the variable")

    def authorize(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        if api_key:
            prepared.headers["Authorization"] = f"Bearer {api_key}"
        return prepared

    def shown(cause: object) -> str:
        return one_line(str(cause).replace(api_key, "***") if api_key else cause)

    dialect = _Dialect()

    def attempt(session: requests.Session, body: dict, more: int) -> str:
        asked = dialect.options(more * request.max_new_tokens)
        try:
            reply = transport.post(session, url, body | asked, timeout=timeout)
        except requests.Timeout:
            raise _Unanswered(f"{where}: no answer within {timeout:g} s", again=True) from None
        except transport.Unbounded as error:
            raise _Unanswered(f"{where}: {error}") from None
        except _BROKEN as error:
            raise _Unanswered(f"{where}: {_broken(error)}", again=True) from None
        if dialect.learns(asked, reply):
            return attempt(session, body, more)
        if reply.status != 200:
            raise _refusal_of_server(where, reply, shown)
        return answer_text(_json(reply.content, where))

    def caption(session: requests.Session, stop: threading.Event, path: Path) -> Answer:
        try:
            body = _body(request, encode_jpeg(path, request.max_pixels))
        except ITEM_ERRORS as error:
            return Answer(path, None, item_failure(error, path))
        number, left = 0, list(dialect.more)
        while True:
            try:
                text = attempt(session, body, left[0])
                dialect.more = tuple(more for more in dialect.more if more >= left[0])
                return Answer(path, text)
            except _Cut as failure:
                tokens = left.pop(0) * request.max_new_tokens
                if not left or stop.is_set():
                    return Answer(
                        path, None, f"{shown(failure)} at {tokens:,} tokens; {MORE_TOKENS}"
                    )
            except _Unanswered as failure:
                chance = random.Random(f"{path.name} {number}").uniform(0.5, 1.0)
                delay = max(min(backoff * 2**number, _LONGEST_DELAY) * chance, failure.after)
                last = number == retries or not failure.again or failure.after > _LONGEST_WAIT
                if last or stop.wait(delay):
                    tries = f" ({number + 1} attempts)" if number else ""
                    return Answer(path, None, shown(failure) + tries)
                number += 1

    def ask(paths: Iterable[Path]) -> Iterator[list[Answer]]:
        paths, stop, pending = iter(paths), threading.Event(), set()
        pool = ThreadPoolExecutor(concurrency, thread_name_prefix="caption")
        with transport.Session() as session:
            session.mount(where, transport.Adapter(pool_maxsize=concurrency))
            session.auth = authorize  # also where there is no key, or requests looks into netrc
            try:
                while True:
                    for path in itertools.islice(paths, concurrency - len(pending)):
                        pending.add(pool.submit(caption, session, stop, path))
                    if not pending:
                        return
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield [future.result() for future in done if future.exception() is None]
                    for future in done:
                        future.result()  # raises what stops the run, after the answers are kept
            finally:
                stop.set()
                pool.shutdown(cancel_futures=True)

    return ask


def answer_text(content: Any) -> str:
    """The text in a chat completion: a string, or the text parts of a list joined."""
    if isinstance(content, dict) and content.get("error"):
        raise _Unanswered(f"the server answers with an error: {_message(content)}")
    try:
        choice = content["choices"][0]
        message = choice["message"]
        if message.get("refusal"):
            raise _Unanswered(f"the model refuses: {message['refusal']}")
        if choice.get("finish_reason") == "content_filter":
            raise _Unanswered("the server's content filter holds the answer back")
        parts = message["content"]
        if isinstance(parts, list):
            parts = "".join(part["text"] for part in parts if part.get("type") == "text")
        if choice.get("finish_reason") == "length":
            raise _Cut("the answer was cut")
        if parts is None:
            raise _Cut(
                "no text in the answer (content: null), the limit is too low for its thought"
            )
        if isinstance(parts, str):
            return parts
    except (KeyError, IndexError, TypeError, AttributeError):
        pass
    raise _Unanswered(f"the answer is no chat completion: {content}")


def _json(content: bytes, where: str) -> Any:
    try:
        return bounded_json.parse(content, where, cure="see what serves there")
    except InputError as error:
        raise _Unanswered(str(error), again=True) from None


def _body(request: Request, jpeg: bytes) -> dict:
    picture = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
    return {
        "model": request.model,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": picture}},
                    {"type": "text", "text": request.prompt},
                ],
            }
        ],
    }


def _address(base_url: str | None) -> str:
    """``scheme://host:port`` without a name and password that the URL may hold."""
    base_url = base_url or ""
    try:
        parts = urlsplit(base_url)
        port = "" if parts.port is None else f":{parts.port}"
        requests.Request("POST", base_url).prepare()
        (parts.hostname or "").encode("idna")
        if any(c.isspace() or not c.isprintable() for c in base_url):  # some of it is passed over
            parts = urlsplit("")
    except (ValueError, requests.RequestException):
        parts, port = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(
            "--base_url: no http address of an OpenAI-compatible server; give one, such as "
            "http://127.0.0.1:8000/v1"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"


def _broken(error: Exception) -> str:
    """The cause of a broken connection in a few words: requests' own text is a whole stack."""
    text = str(error)
    if isinstance(error, requests.exceptions.SSLError):
        return "no secure connection: " + text
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not answer"
    if "timed out" in text:
        return "the answer stopped half-way"
    refused = "NewConnectionError" in text or "NameResolutionError" in text
    return "cannot connect; is the server running?" if refused else "the connection broke"


def _refusal_of_server(where: str, reply: transport.Reply, shown: Any) -> Exception:
    """What another status than 200 means: InputError where it holds for every frame."""
    code = reply.status
    if 300 <= code < 400:
        return InputError(f"{where}: moved to {shown(reply.headers.get('Location'))}; use that")
    cause = f"{where}: status {code}: {shown(_message_of(reply))}"
    if code in _FATAL:
        return InputError(f"{cause}; check --base_url (it ends in /v1), --model and the API key")
    try:
        after = urllib3.Retry().get_retry_after(reply.raw) or 0.0
    except urllib3.exceptions.InvalidHeader:
        after = 0.0
    return _Unanswered(cause, again=code in (408, 429) or code >= 500, after=after)


def _message_of(reply: transport.Reply) -> str:
    try:
        return _message(bounded_json.parse(reply.content, ""))
    except InputError:
        return reply.content.decode("utf-8", "replace")


def _message(content: Any) -> str:
    """The message of an error body, whole; servers nest it differently."""
    keys = ("error", "message", "detail")
    while isinstance(content, dict) and any(key in content for key in keys):
        content = next(content[key] for key in keys if key in content)
    return str(content)
