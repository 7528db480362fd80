"""The client against a real server on loopback, which does what servers do on bad days."""

import base64
import io
import json
import socket
import threading
import time
from email.utils import formatdate

import numpy as np
import pytest
from PIL import Image

from jaxvlm.captioning import openai_backend
from jaxvlm.captioning.request import Request
from jaxvlm.data import images
from jaxvlm.errors import InputError
from tests.captioning.server import Reply, completion, serve

REQUEST = Request("model-1", "What is there?", 77, 10_000)
GOOD = completion("ATOMS: smoke plume")


def ask(server_or_url, root, **options):
    """The answers by frame name: (text, failure)."""
    url = getattr(server_or_url, "url", server_or_url)
    options = {"backoff": 0.001, "retries": 2, "timeout": 5.0} | options
    backend = openai_backend.openai_backend(REQUEST, base_url=url, **options)
    batches = list(backend(images.list_frames(root)))
    return {a.frame.name: (a.text, a.failure) for batch in batches for a in batch}


def one(reply, make_frames, **options):
    """A single frame's (text, failure), and how often it was asked about."""
    with serve(reply) as server:
        ((text, failure),) = ask(server, make_frames({"v": 1}), **options).values()
    return text, failure, len(server.asked)


def test_the_request(make_frames):
    root = make_frames({"v": 1})
    with serve(lambda asked, n: GOOD) as server:
        assert ask(server, root, api_key="sk-1") == {"000000.png": ("ATOMS: smoke plume", "")}
    (asked,) = server.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["Authorization"] == "Bearer sk-1"
    picture, text = asked.body["messages"][0].pop("content")
    assert asked.body == {
        "model": "model-1",
        "messages": [{"role": "user"}],
        "max_tokens": 77,
        "temperature": 0,
    }
    assert text == {"type": "text", "text": "What is there?"}
    assert picture["type"] == "image_url"
    code = base64.b64decode(picture["image_url"]["url"].removeprefix("data:image/jpeg;base64,"))
    sent = np.asarray(Image.open(io.BytesIO(code)))
    original = images.read_image(root / "v" / "000000.png")
    assert sent.shape == original.shape
    assert np.abs(sent.astype(int) - original).mean() < 12  # blocks of strong colour, as JPEG


def test_no_key_no_header_not_even_from_netrc(make_frames, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serve(lambda asked, n: GOOD) as server:
        ask(server, make_frames({"v": 1}))
    assert "Authorization" not in server.asked[0].headers


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_requests_in_flight_than_allowed(make_frames, concurrency):
    together = threading.Barrier(concurrency, timeout=30)  # opens once all of them are there

    def reply(asked, n):
        together.wait()
        return GOOD

    with serve(reply) as server:
        answers = ask(server, make_frames({"v": 12}), concurrency=concurrency, timeout=60)
    assert len(answers) == len(server.asked) == 12
    assert server.most_in_flight == concurrency


def test_no_new_question_before_the_answers_are_taken(make_frames):
    """So that answers which are not in the journal yet are few."""
    with serve(lambda asked, n: GOOD) as server:
        backend = openai_backend.openai_backend(REQUEST, base_url=server.url, concurrency=3)
        answers = backend(images.list_frames(make_frames({"v": 12})))
        taken = len(next(answers))
        time.sleep(0.3)  # for questions that should not come
        assert taken <= len(server.asked) <= 3
        assert taken + sum(len(batch) for batch in answers) == len(server.asked) == 12


@pytest.mark.parametrize(
    "bad",
    [
        Reply(b'{"error": {"message": "out of memory"}}', 500),
        Reply(b"Bad gateway", 502),
        Reply(b"", 503),
        Reply(b"", 408),
        Reply(b"{}", 429, (("Retry-After", "0"),)),
        Reply(b"{}", 429, (("Retry-After", "soon"),)),
        Reply(GOOD.body[:30]),  # a whole answer of half a JSON
        Reply(GOOD.body[:30], length=len(GOOD.body)),  # half an answer
        Reply(b"<html>starting</html>"),
        Reply(b"", hang_up=True),
    ],
    ids=["500", "502", "503", "408", "429", "429 soon", "half JSON", "cut", "html", "hang up"],
)
def test_what_passes_is_tried_again(make_frames, bad):
    text, failure, asked = one(lambda asked, n: GOOD if n == 2 else bad, make_frames)
    assert (text, failure, asked) == ("ATOMS: smoke plume", "", 3)
    text, failure, asked = one(lambda asked, n: bad, make_frames)
    assert text is None and asked == 3  # the first, and two retries
    assert failure.endswith("(3 attempts)") and "\n" not in failure


def test_slow_answers(make_frames):
    def reply(asked, n):
        if n == 0:
            time.sleep(0.6)
        return GOOD

    text, _, asked = one(reply, make_frames, timeout=0.2)
    assert (text, asked) == ("ATOMS: smoke plume", 2)
    text, failure, asked = one(reply, make_frames, timeout=0.2, retries=0)
    assert text is None and asked == 1 and "no answer within 0.2 s" in failure


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_waited_for(make_frames, as_date):
    times = []

    def reply(asked, n):
        times.append(time.time())
        # A date has whole seconds: two from now are more than one away.
        after = formatdate(time.time() + 2, usegmt=True) if as_date else "1"
        return GOOD if n else Reply(b"{}", 429, (("Retry-After", after),))

    assert one(reply, make_frames)[0] == "ATOMS: smoke plume"
    assert times[1] - times[0] >= 1.0


def test_a_wait_of_an_hour_is_not_waited_for(make_frames):
    bad = Reply(b'{"error": "quota"}', 429, (("Retry-After", "3600"),))
    text, failure, asked = one(lambda asked, n: bad, make_frames)
    assert text is None and asked == 1 and "status 429: quota" in failure


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (completion(None, refusal="I can't help with that."), "refuses: I can't help with that."),
        (completion(7), "no chat completion"),
        (completion([{"type": "text"}]), "no chat completion"),
        (completion(["a"]), "no chat completion"),
        (Reply(b'{"choices": []}'), "no chat completion"),
        (Reply(b'{"choices": [{"text": "ATOMS: a"}]}'), "no chat completion"),
        (Reply(b"null"), "no chat completion: None"),
        (Reply(b"[1]"), "no chat completion"),
        (Reply(b'{"error": {"message": "no\\nGPU \\u001b[31m"}}'), "with an error: no GPU [31m"),
        (
            Reply(b'{"choices": [{"finish_reason": "content_filter", "message": {}}]}'),
            "content filter",
        ),
        (Reply(b'{"detail": "picture too large"}', 400), "status 400: picture too large"),
        (Reply(b'{"message": "bad"}', 422), "status 422: bad"),
    ],
)
def test_what_stays_is_not_tried_again(make_frames, reply, cause):
    text, failure, asked = one(lambda asked, n: reply, make_frames)
    assert text is None and cause in failure and asked == 1
    assert failure.isprintable()


def test_content_in_parts(make_frames):
    parts = [
        {"type": "text", "text": "ATOMS: smoke "},
        {"type": "image_url", "image_url": {}},
        {"type": "text", "text": "plume"},
    ]
    assert one(lambda asked, n: completion(parts), make_frames)[0] == "ATOMS: smoke plume"


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_what_would_fail_for_every_frame_stops_the_run(make_frames, status):
    body = json.dumps({"error": {"message": "Incorrect API key provided: sk-secret"}}).encode()
    with (
        serve(lambda asked, n: Reply(body, status)) as server,
        pytest.raises(InputError, match=rf"status {status}: Incorrect .*; check --base_url") as e,
    ):
        ask(server, make_frames({"v": 9}), api_key="sk-secret", concurrency=2)
    assert len(server.asked) <= 2
    assert "sk-secret" not in str(e.value) and "provided: ***" in str(e.value)


def test_the_key_is_hidden_where_a_message_is_cut(make_frames):
    body = json.dumps({"error": "x" * 150 + "sk-secret" * 10}).encode()
    _, failure, _ = one(lambda asked, n: Reply(body, 400), make_frames, api_key="sk-secret" * 10)
    assert "sk-" not in failure and failure.endswith("***")


def test_answers_in_hand_are_given_before_the_stop(make_frames):
    """One worker: the answers before the fatal one are all given."""
    count = iter(range(9))
    root = make_frames({"v": 5})
    given = []
    with serve(lambda a, n: Reply(b"{}", 401) if next(count) == 3 else GOOD) as server:
        backend = openai_backend.openai_backend(REQUEST, base_url=server.url, concurrency=1)
        with pytest.raises(InputError, match="status 401"):
            for batch in backend(images.list_frames(root)):
                given += batch
    assert [answer.frame.name for answer in given] == ["000000.png", "000001.png", "000002.png"]


def test_a_redirect_is_not_followed(make_frames):
    moved = Reply(b"", 307, (("Location", "http://other.example/v1"),))
    with pytest.raises(InputError, match="moved to http://other.example/v1; use that"):
        one(lambda asked, n: moved, make_frames)


def test_nobody_listens(make_frames):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    ((text, failure),) = ask(url, make_frames({"v": 1})).values()
    assert text is None
    assert failure == f"{url[:-3]}: cannot connect; is the server running? (3 attempts)"


def test_a_broken_frame_costs_no_request(make_frames):
    root = make_frames({"v": 3})
    (root / "v" / "000001.png").write_bytes(b"no picture")
    with serve(lambda asked, n: GOOD) as server:
        answers = ask(server, root)
    assert "not a readable picture" in answers["000001.png"][1]
    assert len(server.asked) == 2 and answers["000002.png"] == ("ATOMS: smoke plume", "")


@pytest.mark.parametrize(
    "url",
    [
        None, "", "localhost:8000", "ftp://h/v1", "http://", "http://h:x", "http://[", "http://[::1",
        "http://h:65536/v1", "http://h:-1/v1", "http://h\x00/v1", "http://h/v1\r\nX: y",
        "http://a b/",
        "http://*", "http://.h", "http://a..b/", "http://" + "a" * 64, "http://h\x1b[2J/", "//h/v1",
        "http://\udc80/v1",
    ],
)  # fmt: skip
def test_no_address(url):
    with pytest.raises(InputError, match="--base_url: no http address"):
        openai_backend.openai_backend(REQUEST, base_url=url)


def test_a_key_that_is_no_header():
    with pytest.raises(InputError, match="API key: holds") as error:
        openai_backend.openai_backend(REQUEST, base_url="http://h/v1", api_key="sk-1\nX: y")
    assert "sk-1" not in str(error.value)


def test_the_password_of_an_address_is_not_shown(make_frames):
    with serve(lambda asked, n: Reply(b"{}", 400)) as server:
        url = server.url.replace("http://", "http://me:secret@")
        ((_, failure),) = ask(url, make_frames({"v": 1})).values()
    assert "status 400" in failure and "secret" not in failure


def test_a_frame_that_the_disk_does_not_give_fails_alone(make_frames, monkeypatch):
    root, encode = make_frames({"v": 3}), openai_backend.encode_jpeg

    def failing(path, max_pixels):
        if path.name == "000001.png":
            raise OSError(5, "Input/output error")
        return encode(path, max_pixels)

    monkeypatch.setattr(openai_backend, "encode_jpeg", failing)
    with serve(lambda asked, n: GOOD) as server:
        answers = ask(server, root)
    assert answers["000001.png"][1] == f"{root}/v/000001.png: Input/output error; check the disk"
    assert [text is None for text, _ in answers.values()].count(True) == 1
