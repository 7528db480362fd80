"""What may not stand in the code, and what SECURITY.md must tell."""

import ast
import re
from pathlib import Path

import pytest

from jaxvlm import bounds
from tests.test_house import ROOT, sources

RUNS_CODE = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads",
    "pickle.Unpickler", "torch.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
    "joblib.load", "marshal.loads", "shelve.open", "ast.literal_eval",
}  # fmt: skip
# Module, call: why it is safe there.
SAFE = {
    ("jaxvlm.prototypes.ontology", "ast.literal_eval"): "of a parsed tree of bounded size, no text",
}
UNBOUNDED = {
    ".read", ".read_bytes", ".read_text", ".readlines", "json.load", "json.loads", "np.load",
}  # fmt: skip
BOUNDED = {
    ("jaxvlm.alarms.mqtt", "json.loads"): "of a message of ours, from our spool",
    ("jaxvlm.bounded_json", "json.loads"): "after the length is checked",
    ("jaxvlm.captioning.journal", ".read"): "of a file of ours, a line per answer",
    ("jaxvlm.clip.architecture", "json.loads"): "of a text that we made",
    ("jaxvlm.clip.saving", "json.loads"): "of texts that we and the tokenizers library made",
    ("jaxvlm.clip.weights", ".read_bytes"): "weights are as large as they are",
    ("jaxvlm.command.programs", ".read_text"): "of our own launchers",
    ("jaxvlm.data.connections", ".read"): "one frame of a camera",
    ("jaxvlm.data.images", ".read_bytes"): "its size is taken from the decoders' budget before",
    ("jaxvlm.data.torch_files", ".read"): "the last 66 kB",
    ("jaxvlm.ontology.document", "json.loads"): "after the length is checked",
    ("jaxvlm.parallel", "json.loads"): "of another process of ours",
    ("jaxvlm.video.role_export", "json.loads"): "of a text that we made",
}


def name_of(call: ast.Call) -> str:
    """``eval``, ``pickle.load`` of a module, ``.read`` of an object."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id
    if isinstance(function, ast.Attribute):
        owner = function.value
        modules = {name.partition(".")[0] for name in RUNS_CODE | UNBOUNDED if "." in name}
        is_module = isinstance(owner, ast.Name) and owner.id in modules
        return f"{owner.id}.{function.attr}" if is_module else f".{function.attr}"
    return ""


def calls() -> list[tuple[str, str, ast.Call]]:
    return [
        (module, name_of(node), node)
        for module, source in sources().items()
        if not module.startswith("benchmarks")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
    ]


def test_nothing_runs_code_from_data():
    found = {(module, name) for module, name, _ in calls() if name in RUNS_CODE}
    assert found == set(SAFE)


def test_no_shell():
    shells = [
        module
        for module, _, call in calls()
        for keyword in call.keywords
        if keyword.arg == "shell" and getattr(keyword.value, "value", True)
    ]
    assert shells == []


def test_what_is_read_has_a_bound():
    """Reads without a size, and parsers that take what they get, stand only where listed."""
    found = {
        (module, name)
        for module, name, call in calls()
        if name in UNBOUNDED and not (name == ".read" and call.args)
    }
    # `reading` reads with a size; `world` reads what it rendered.
    found = {entry for entry in found if not entry[0].startswith("jaxvlm.world")}
    assert found == set(BOUNDED)


def test_no_checkpoint_that_may_run_code_is_imported():
    """The standard unpickler is nowhere in use; `pickletools` only reads opcodes."""
    importers = {
        module
        for module, source in sources().items()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Import) and any(alias.name == "pickle" for alias in node.names)
    }
    assert importers <= {"jaxvlm.data.torch_files"}  # writes numbers and texts in its form


SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
BOUNDS = {
    name: value
    for name, value in vars(bounds).items()
    if name.isupper() and isinstance(value, int | float)
}


@pytest.mark.parametrize("name", BOUNDS)
def test_every_bound_is_told_with_its_value(name):
    (row,) = re.findall(rf"^\| `{name}` \| ([^|]+) \|", SECURITY, re.MULTILINE)
    number, unit = re.fullmatch(r"([\d,.]+)(?: (KiB|MiB|GiB|million))?.*", row).groups()
    scale = {None: 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "million": 10**6}[unit]
    told = float(number.replace(",", "")) * scale
    assert told == pytest.approx(BOUNDS[name], rel=0.06)  # 2^20 values are "1 million"


def test_nothing_else_is_told():
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", SECURITY, re.MULTILINE)) == set(BOUNDS)
    assert Path(ROOT / "SECURITY.md").is_file()
