"""A server that drips, swells, nests or moves: a failure of its frame, within bounds."""

import contextlib
import functools
import gzip
import json
import socket
import threading
import zlib

import pytest

from jaxvlm.data import transport
from tests.captioning.server import Reply, completion, serve
from tests.captioning.test_openai_backend import GOOD, ask, one

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def zipped(body, encoding="gzip"):
    return Reply(body, headers=(("Content-Encoding", encoding),))


@functools.cache
def bomb():
    """64 MB of blanks in 64 kB."""
    return gzip.compress(b" " * 2**26)


@contextlib.contextmanager
def raw_server(*parts, every=None):
    """Sends these bytes to whoever asks, then ``every`` again and again until it is cut."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def answer(line):
        with line, contextlib.suppress(OSError):
            line.recv(2**20)
            for part in parts:
                line.sendall(part)
            while every is not None and not over.wait(0.02):
                line.sendall(every)

    def run():
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                line, _ = listener.accept()
                line.settimeout(5)
                answers.append(threading.Thread(target=answer, args=(line,)))
                answers[-1].start()

    answers: list[threading.Thread] = []
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        over.set()
        for each in (thread, *answers):
            each.join()
        listener.close()


def failure(url, make_frames, **options):
    ((text, cause),) = ask(url, make_frames({"v": 1}), retries=0, **options).values()
    assert text is None and "\n" not in cause
    return cause


@pytest.mark.parametrize(
    "parts, every",
    [
        ((HEAD + b"Content-Length: 1000000\r\n\r\n",), b" "),  # the body drips
        ((HEAD + b"\r\n",), b" "),  # without a length, where the cut looks like the end
        ((HEAD + b"Transfer-Encoding: chunked\r\n\r\n",), b"1\r\n \r\n"),
        ((b"HTTP/1.1 200 OK\r\n",), b"A: b\r\n"),  # the headers drip
        ((b"HTTP/1.1 200 OK\r\nA: ",), b"b"),
        ((), b"HTTP/1.1 100 Continue\r\n\r\n"),
        ((), b""),  # silence
    ],
)
def test_a_drip_ends_with_the_time_for_the_whole_answer(make_frames, parts, every):
    with raw_server(*parts, every=every) as url:
        cause = failure(url, make_frames, timeout=0.5)
    # http.client itself takes no more than 100 headers.
    assert "no answer within 0.5 s" in cause or "the connection broke" in cause


def test_a_handshake_that_drips_ends_too(make_frames):
    with raw_server(b"\x16\x03\x03\x40\x00", every=b"\x02") as url:
        cause = failure(url.replace("http", "https"), make_frames, timeout=0.5)
    assert "no answer within 0.5 s" in cause


def test_a_bomb_is_not_unpacked(make_frames):
    text, cause, asked = one(lambda asked, n: zipped(bomb()), make_frames)
    assert (text, asked) == (None, 1) and "longer than 1,048,576 bytes" in cause
    plain = Reply(b" " * (transport.MAX_BYTES + 1))
    text, cause, asked = one(lambda asked, n: plain, make_frames)
    assert (text, asked) == (None, 1) and "longer than 1,048,576 bytes" in cause


@pytest.mark.parametrize("status", [200, 302, 400, 500])
def test_nor_with_another_status(make_frames, status):
    """requests would read the body of a redirect whole, though it does not follow it."""
    reply = Reply(bomb(), status, (("Content-Encoding", "gzip"), ("Location", "http://[")))
    text, cause, _ = one(lambda asked, n: reply, make_frames, retries=0)
    assert text is None and "longer than" in cause


def test_what_is_compressed_unasked_is_read(make_frames):
    body = GOOD.body
    bare = zlib.compressobj(wbits=-15)
    for reply in (
        zipped(gzip.compress(body)),
        zipped(gzip.compress(body), "x-gzip"),
        zipped(zlib.compress(body), "deflate"),
        zipped(bare.compress(body) + bare.flush(), "deflate"),
        zipped(body, "identity"),
    ):
        with serve(lambda asked, n, reply=reply: reply) as server:
            assert ask(server, make_frames({"v": 1})) == {"000000.png": ("ATOMS: smoke plume", "")}
        assert server.asked[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    "reply, cause",
    [
        (zipped(b"x", "br"), "compressed as 'br'"),
        (zipped(b"no gzip"), "the connection broke"),
        (zipped(gzip.compress(GOOD.body)[:-9]), "the connection broke"),
        (Reply(b"[" * 200_000 + b"]" * 200_000), "nested deeper than 100 levels"),
        (Reply(b'{"choices": ' * 50_000), "nested deeper"),
        (Reply(b"1" * 5_000), "whole number of 5000 digits"),
        (Reply(b"\xff"), "not valid JSON"),
        (Reply(json.dumps({"error": [[1]] * 99_999}).encode()), "the server answers with an error"),
        (Reply(b"{}", 302, (("Location", "http://[\x1b"),)), None),
    ],
)
def test_one_bad_answer_is_the_failure_of_its_frame(make_frames, reply, cause):
    first = []

    def answer(asked, n):
        first.append(asked.picture)
        return reply if asked.picture == first[0] else GOOD

    if cause is None:  # a redirect holds for all frames, and is told in one line
        with pytest.raises(ValueError, match=r"moved to http://\[ *; use that"), serve(answer) as s:
            ask(s, make_frames({"v": 2}), concurrency=1)
        return
    with serve(answer) as server:
        answers = ask(server, make_frames({"v": 2}), concurrency=1, retries=1)
    (bad, why), good = answers["000000.png"], answers["000001.png"]
    assert bad is None and cause in why and "\n" not in why and len(why) < 400
    assert good == ("ATOMS: smoke plume", "")


def test_a_long_answer_within_the_bound_is_read(make_frames):
    text = "thinking " * 50_000 + "\nATOMS: smoke plume"
    read, cause, _ = one(lambda asked, n: completion(text), make_frames)
    assert (read, cause) == (text, "")
