"""Every function of the package that opens what others wrote is entered by a reader of the table.

Which functions those are is read from the sources: they call one of `OPENERS`. Which are entered
is traced while the good inputs are read, so that a name in a table proves nothing.
"""

import ast
import sys
import threading
from pathlib import Path

import pytest

from tests.fuzz.readers import READERS
from tests.test_house import ROOT, functions, sources

OPENERS = {
    *("read_bounded", "read_json", "read_csv", "read_arrays", "read_about", "read_lines"),
    *("parse", "safe_open", "load_file", "read_array", "read_torch", "loads", "ZipFile"),
    *("read_image", "decode_image", "imdecode", "msgpack_restore", "read_bytes", "read_text"),
}
PARSERS = {"bounded_json", "ast", "plain_pickle"}  # whose `parse` and `loads` read what is given
# function: why no reader of the table enters it.
LEFT_OUT = {
    "jaxvlm/command/programs.py:summary": "a program's own source",
    "jaxvlm/settings.py:_meanings": "the package's own source",
    "jaxvlm/data/torch_files.py:write_torch": "writes",
    "jaxvlm/captioning/openai_backend.py:_message_of": "what is no JSON is shown as text",
    "jaxvlm/clip/preprocessing.py:read_crop": "pictures, as read_image of the pictures' readers",
    "jaxvlm/clip/preprocessing.py:read_rgb": "pictures, as above",
    "jaxvlm/pages/folder_page.py:_thumbnail": "pictures, as above",
    "jaxvlm/pages/galleries.py:card": "pictures, as above",
    "jaxvlm/prototypes/folders.py:_export_run": "arrays of runs, as read_trainpacks of `runs`",
    "jaxvlm/video/role_learning.py:train_manifest": "a record's config, as that of `roles`",
    "jaxvlm/video/kept_frames.py:kept_below": "run.json, as `scored_videos` reads it",
    "jaxvlm/alarms/webhook.py:read_secret": "the user's own text, within a bound",
    "jaxvlm/alarms/spool.py:oldest": "what the spool itself wrote; tests/alarms has damaged ones",
    "jaxvlm/alarms/clips.py:_decoded": "pictures that were encoded in this process",
    "jaxvlm/video/saved_state.py:__init__": "tests/video/test_saved_state.py has damaged ones",
}


def opening() -> set[str]:
    """FILE:NAME of the functions of the package that call an opener themselves."""
    found = set()
    for module, source in sources().items():
        if module.split(".")[0] != "jaxvlm" or module.startswith("jaxvlm.world"):
            continue
        for function in functions(source):
            if any(_opens(node) for node in ast.walk(function)):
                found.add(f"{source.path.relative_to(ROOT).as_posix()}:{function.name}")
    return found


def _opens(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    owner = getattr(getattr(node.func, "value", None), "id", "")
    return name in OPENERS and (name not in ("parse", "loads") or owner in PARSERS)


def entered(folder: Path) -> set[str]:
    """FILE:NAME of the functions that reading the good inputs enters, in any thread."""
    found = set()

    def trace(frame, event, argument):
        if event == "call":
            code = frame.f_code
            found.add((code.co_filename, code.co_name))

    for name, reader in READERS.items():
        (folder / name).mkdir()
        reader.make(folder / name)
    threading.setprofile(trace)
    sys.setprofile(trace)
    try:
        for name, reader in READERS.items():
            reader.read(folder / name)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    root = f"{ROOT}/"
    return {f"{file.removeprefix(root)}:{name}" for file, name in found if file.startswith(root)}


@pytest.mark.skipif(sys.gettrace() is not None, reason="the tracer is taken")
def test_every_function_that_opens_a_file_is_in_the_campaign(tmp_path):
    missing = opening() - entered(tmp_path)
    assert missing == set(LEFT_OUT)
