"""Messages of wrong input: one line, no control characters, little of what others wrote."""

import errno
import os
import pickle

import pytest

from jaxvlm.errors import ITEM_ERRORS, DiskError, InputError, item_failure

PATH = "/data/" + "/".join(["a folder of the user"] * 12) + "/file.json"  # 260 characters


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"{PATH}: {'x' * 5_000!r} is no name; correct it", f"{PATH}: '{'x' * 200}…' is no name"),
        (f"{PATH}: the key {'k ' * 900!r} is there twice", f"{PATH}: the key '{'k ' * 100}…' is"),
        (f'a.csv: "it\'s {"y" * 900}" is no 0/1', "…"),
        (f"a.txt: {'z' * 900} stands twice; remove one", f"a.txt: {'z' * 200}… stands twice"),
        (
            "a.json: \x1b[2J\x07b\u202ec\nd\ud800: no",
            "a.json: \\x1b[2J\\x07b\\u202ec\\nd\\ud800: no",
        ),
        (f"the video's name {PATH} isn't free", f"the video's name {PATH} isn't free"),
        ("Ärger 'x' 你好 सलाम; cure", "Ärger 'x' 你好 सलाम; cure"),
    ],
)
def test_a_message_is_a_short_printable_line(text, kept):
    message = str(InputError(text))
    assert kept in message and message.isprintable() and len(message) < len(PATH) + 300


def test_the_file_and_the_cure_stay_where_much_is_said():
    message = str(InputError(f"{PATH}: {'one word ' * 9_000}; correct the file"))
    assert message.startswith(PATH) and message.endswith("; correct the file")
    assert len(message) <= 2_003


def test_it_is_a_value_error_that_travels_between_processes():
    error = InputError(f"{PATH}: {'x' * 900!r}; cure")
    assert isinstance(error, ValueError)
    assert str(pickle.loads(pickle.dumps(error))) == str(InputError(error)) == str(error)


def test_what_ended_an_item_is_a_line_with_its_name():
    assert item_failure(InputError("a.mp4: broken; copy it"), "b") == "a.mp4: broken; copy it"
    for error, line in {
        OSError(errno.EIO, os.strerror(errno.EIO)): "b: Input/output error; check the disk",
        OSError(errno.EIO, "no\nluck", "c.csv"): "c.csv: no\\nluck; check the disk",
        OSError(errno.EIO, "bad", b"c.csv"): "c.csv: bad; check the disk",
        OSError("odd"): "b: odd; check the disk",
    }.items():
        assert isinstance(error, ITEM_ERRORS)
        assert item_failure(error, "b").replace("b'c.csv'", "c.csv") == line


def test_a_full_disk_is_no_failure_of_an_item():
    with pytest.raises(DiskError, match="a: full"):
        try:
            raise DiskError("a: full")
        except ITEM_ERRORS as error:
            item_failure(error, "item")
