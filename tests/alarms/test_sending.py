"""Spool, sender and webhook: nothing is lost, nothing secret is told, everything is bounded."""

import base64
import json
import threading
import time

import pytest

from jaxvlm import bounds
from jaxvlm.alarms.sender import NotDelivered, Refused, Sender
from jaxvlm.alarms.spool import Spool
from jaxvlm.alarms.webhook import VARIABLE, read_secret, sign, webhook
from jaxvlm.errors import InputError
from tests.alarms.receiver import SECRET, Receiver, receiving


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def test_messages_outlast_the_process_in_their_order(tmp_path):
    spool = Spool(tmp_path / "s")
    for n in range(12):
        spool.put(f"id{n}", b"%d" % n)
    name, message_id, content = spool.oldest()
    assert (message_id, content) == ("id0", b"0")
    spool.done(name)
    (tmp_path / "s" / "0000000000000099-x.part").write_bytes(b"half")  # of a killed writer
    (tmp_path / "s" / "note.txt").write_text("of the user")
    again = Spool(tmp_path / "s")
    assert len(again) == 11 and again.size == sum(len(str(n)) for n in range(1, 12))
    again.put("last", b"z")
    found = []
    while (message := again.oldest()) is not None:
        found.append(message[1])
        again.done(message[0])
    assert found == [*(f"id{n}" for n in range(1, 12)), "last"] and again.size == 0
    left = sorted(path.name for path in (tmp_path / "s").iterdir())
    assert left == ["note.txt", "refused"]


def test_a_full_spool_loses_the_oldest_and_counts_them(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "SPOOL_BYTES", 10)
    spool = Spool(tmp_path)
    for n in range(5):
        spool.put(f"id{n}", b"1234")
    assert (spool.lost, len(spool), spool.size) == (3, 2, 8)
    assert spool.oldest()[1] == "id3"


@pytest.mark.parametrize("message_id", ["", "a/b", "../a", "a b", "x" * 101])
def test_an_id_that_is_no_name_is_refused(tmp_path, message_id):
    with pytest.raises(ValueError, match="the id"):
        Spool(tmp_path).put(message_id, b"")


def test_a_sender_goes_on_until_it_is_taken(tmp_path):
    said, got, attempts = [], [], []

    def deliver(message_id, content):
        attempts.append(message_id)
        if message_id == "bad":
            raise Refused("answers 400")
        if len(attempts) < 4:
            raise NotDelivered("down")
        got.append((message_id, content))

    sender = Sender("hook", Spool(tmp_path), deliver, say=said.append, first_delay=0.01)
    for message_id in ("a", "bad", "b"):
        sender.put(message_id, message_id.encode())
    wait_for(lambda: len(got) == 2)
    sender.close()
    assert got == [("a", b"a"), ("b", b"b")] and attempts == ["a"] * 4 + ["bad", "b"]
    assert said[0] == "hook: down; tried again until it is there"
    assert said[1] == "hook: is there again"
    assert said[2].startswith("hook: answers 400; put aside: ") and len(said) == 3
    (aside,) = (tmp_path / "refused").iterdir()
    assert aside.read_bytes() == b"bad" and len(Spool(tmp_path)) == 0


def test_what_is_not_taken_stays_for_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxvlm.alarms.sender._LAST", 0.2)

    def down(message_id, content):
        raise NotDelivered("down")

    said = []
    sender = Sender("hook", Spool(tmp_path), down, say=said.append, first_delay=0.01)
    sender.put("a", b"1")
    wait_for(lambda: said)
    sender.close()
    assert said[-1].startswith("hook: 1 wait for the next start: ")
    got = []
    sender = Sender("hook", Spool(tmp_path), lambda *m: got.append(m), say=said.append)
    wait_for(lambda: got == [("a", b"1")])
    sender.close()


def test_a_signature_of_the_standards_own_example():
    """https://github.com/standard-webhooks/standard-webhooks, the test vector of its libraries."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    found = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_is_signed_and_taken_once():
    with receiving(Receiver()) as receiver:
        webhook(f"{receiver.url}/hook?token=t", SECRET)("id-start", b'{"a": 1}')
    ((path, headers, body),) = receiver.taken
    assert (path, body, headers["webhook-id"]) == ("/hook?token=t", b'{"a": 1}', "id-start")
    assert headers["content-type"] == "application/json"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60


def test_user_and_password_of_an_address_go_to_it_alone():
    with receiving(Receiver()) as receiver:
        address = receiver.url.replace("://", "://user:hunter2@")
        webhook(address, SECRET)("id", b"{}")
    (_, headers, _), = receiver.taken  # fmt: skip
    assert base64.b64decode(headers["authorization"].split()[1]) == b"user:hunter2"


@pytest.mark.parametrize("status, kind", [(500, NotDelivered), (401, NotDelivered), (422, Refused)])
def test_what_an_answer_means(status, kind):
    with receiving(Receiver(lambda *_: (status, {}, b"hunter2"))) as receiver:
        with pytest.raises(kind) as caught:
            webhook(f"{receiver.url}/hook/hunter2", SECRET)("id", b"{}")
    assert str(caught.value) == f"{receiver.url}/…: answers {status}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_nowhere(status):
    with receiving(Receiver()) as other:
        moved = {"Location": f"{other.url}/x"}
        with receiving(Receiver(lambda *_: (status, moved, b""))) as receiver:
            with pytest.raises(NotDelivered, match="redirects are not followed"):
                webhook(receiver.url, SECRET)("id", b"{}")
            assert len(receiver.requests) == 1 and other.requests == []


def test_an_answer_without_end_is_cut():
    big = b" " * (bounds.ANSWER_BYTES + 1)
    with receiving(Receiver(lambda *_: (200, {}, big))) as receiver:
        with pytest.raises(NotDelivered, match="longer than 1,048,576 bytes"):
            webhook(receiver.url, SECRET)("id", b"{}")


def test_a_receiver_that_says_nothing_is_left(monkeypatch):
    monkeypatch.setattr(bounds, "ALARM_SECONDS", 0.3)
    over = threading.Event()
    with receiving(Receiver(lambda *_: (over.wait(20), (200, {}, b""))[1])) as receiver:
        with pytest.raises(NotDelivered, match="no answer for 0.3 s"):
            webhook(receiver.url, SECRET)("id", b"{}")
        over.set()
    with pytest.raises(NotDelivered, match="^http://127.0.0.1:9/…: cannot be reached$"):
        webhook("http://u:hunter2@127.0.0.1:9/hunter2?k=hunter2", SECRET)("id", b"{}")


@pytest.mark.parametrize(
    "url", ["ftp://u:hunter2@h/x", "file:///etc/passwd", "h/x?token=hunter2", "http://", "http://["]
)
def test_an_address_that_is_none_is_refused_without_its_secrets(url):
    with pytest.raises(InputError, match="--webhook=|names no host") as caught:
        webhook(url, SECRET)
    assert "hunter2" not in str(caught.value)


def test_secrets(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(InputError, match=f"no secret to sign with; set {VARIABLE}"):
        read_secret(None)
    monkeypatch.setenv(VARIABLE, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert read_secret(None) == base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    file = tmp_path / "secret"
    file.write_text("sixteen letters!\n")
    assert read_secret(file) == b"sixteen letters!"
    for content, cause in (("short", "fewer than 16"), ("whsec_%%", "no base64"),
                           ("x" * 5000, "more than the 4,096")):  # fmt: skip
        file.write_text(content)
        with pytest.raises(InputError, match=cause) as caught:
            read_secret(file)
        assert content not in str(caught.value)


def test_a_receiver_that_was_down_gets_everything(tmp_path):
    """Down at first, then errors, then there: each message once or more, none missing."""
    receiver = Receiver(lambda number, _: (503 if number % 3 == 0 else 200, {}, b""))
    with receiving(receiver):
        pass  # the port is free again
    port = int(receiver.url.rsplit(":", 1)[1])
    deliver = webhook(receiver.url, SECRET)
    sender = Sender("hook", Spool(tmp_path), deliver, say=lambda _: None, first_delay=0.01)
    wanted = {f"id{n}" for n in range(8)}
    for message_id in sorted(wanted):
        sender.put(message_id, json.dumps({"id": message_id}).encode())
    with receiving(receiver, port):
        wait_for(lambda: set(receiver.messages) == wanted)
        wait_for(lambda: len(sender.spool) == 0)
        sender.close()
