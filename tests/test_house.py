"""The house: which room may import which, and how large its files and functions are.

The table is the layout. It is read from top to bottom: a room may use only what stands above it,
so that rooms make no circle.
Imports are read from the sources, those inside functions too; nothing is imported.
"""

import ast
import functools
from pathlib import Path
from typing import NamedTuple

import pytest

from jaxvlm.atoms.roles import ROLES

ROOT = Path(__file__).resolve().parents[1]

# Root modules (errors, files, arrays, …) may be used by every room and use no room.
ROOMS = {
    "data": (),  # readers of videos, pictures, tables
    "clip": ("data",),  # the frozen encoder
    "atoms": (),  # mathematics and role learning: arrays in, arrays out
    "ontology": ("data", "clip", "atoms"),  # events and atoms, captions' text
    "ood": ("data", "clip"),  # scores of pictures, words
    "captioning": ("data", "ontology"),
    "evaluation": ("data", "atoms"),  # metrics, baselines, protocols
    "alarms": ("data",),  # when an event is an alarm, its record and pictures, who is told
    "video": ("data", "clip", "atoms", "ontology", "evaluation", "alarms"),  # one video's way
    "pictures": ("data", "clip", "ood", "evaluation"),  # one picture set's way
    "prototypes": ("data", "atoms", "ontology", "video"),  # the two prototypes' files
    "pages": ("data", "clip", "atoms", "ood", "evaluation", "video", "pictures"),
    "command": ("data", "clip", "alarms", "video"),  # jaxvlm PROGRAM, flags that are shared
    "world": (  # the rendered world and the demo on it
        "data", "clip", "atoms", "ontology", "ood", "evaluation", "video", "pictures", "pages",
    ),
}  # fmt: skip
# Only these programs and the measurements in benchmarks/ may use the rendered world.
WORLD_PROGRAMS = {"demo", "render_world", "render_ood", "train_clip"}

MAX_LINES, MAX_LAUNCHER_LINES, MAX_PARAMETERS = 320, 70, 8
# What a reader must not meet twice; a leading underscore makes no other name.
ONCE = ("frame_times", "frame_labels", "Interval", "ROLES", "unit")


class Source(NamedTuple):
    """A file: its module's dotted name, its lines, its syntax tree."""

    path: Path
    module: str
    text: str
    tree: ast.Module


@functools.cache
def sources() -> dict[str, Source]:
    """Every Python file of the project but tests and configs, by module."""
    found = {}
    for folder in ("jaxvlm", "launch", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            module = module.removesuffix(".__init__")
            text = path.read_text(encoding="utf-8")
            found[module] = Source(path, module, text, ast.parse(text))
    return found


def imports(source: Source, tree: ast.AST | None = None) -> set[str]:
    """The project's modules that a file imports; ``from package import name`` is the module
    package.name if there is one, else the package."""
    found = set()
    for node in ast.walk(tree or source.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source.path}:{node.lineno}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in sources() else node.module)
    return {name for name in found if name in sources()}


def room(module: str) -> str | None:
    """The room of a module; None for a root module and what is not in the package."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "jaxvlm" and parts[1] in ROOMS else None


def used(name: str) -> dict[str, str]:
    """The rooms that a room uses, and for each a file that does."""
    return {
        other: f"{source.path.relative_to(ROOT)} imports {module}"
        for source in sources().values()
        if room(source.module) == name
        for module in sorted(imports(source))
        if (other := room(module)) not in (None, name)
    }


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The nodes of a circle of a graph, or an empty list."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        path.append(node)
        for other in sorted(graph[node]):
            if found := visit(other):
                return found
        path.pop()
        done.add(node)
        return []

    for start in sorted(graph):
        if found := visit(start):
            return found
    return []


def functions(source: Source):
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def definitions(source: Source) -> set[str]:
    """The functions, classes and values that a module defines, without leading underscores."""
    found = set()
    for node in source.tree.body:
        for target in getattr(node, "targets", [getattr(node, "target", node)]):
            found.add(getattr(target, "name", "") or getattr(target, "id", ""))
    return {name.lstrip("_") for name in found}


def num_parameters(function: ast.FunctionDef) -> int:
    """``*args`` and ``**kwargs`` count one each, ``self`` and ``cls`` nothing."""
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    stars = (given.vararg, given.kwarg)
    return sum(a.arg not in ("self", "cls") for a in named) + sum(a is not None for a in stars)


def test_every_folder_of_the_package_is_a_room_of_the_table():
    folders = {path.parent.name for path in (ROOT / "jaxvlm").glob("*/__init__.py")}
    assert folders == set(ROOMS)


def test_arrows_of_the_table_go_up():
    above: list[str] = []
    for name, allowed in ROOMS.items():
        assert set(allowed) <= set(above), f"{name} may not use what stands below it"
        above.append(name)


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_what_the_table_lets_it(name):
    others, allowed = used(name), set(ROOMS[name])
    assert set(others) <= allowed, [others[other] for other in set(others) - allowed]
    assert allowed <= set(others), (
        f"take out of the table: {name} does not use {allowed - set(others)}"
    )


def test_root_modules_import_no_room():
    for source in sources().values():
        if source.module.startswith("jaxvlm.") and room(source.module) is None:
            if source.module != "jaxvlm.__main__":
                assert not {m for m in imports(source) if room(m)}, source.path


def test_the_package_itself_imports_nothing_heavy_before_it_is_asked():
    """``jaxvlm --help`` comes at once, and ``jaxvlm.__version__`` makes no circle."""
    package = sources()["jaxvlm"]
    for node in package.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            light = {"jaxvlm.errors", "jaxvlm.version"}  # which import nothing heavy
            assert imports(package, node) <= light, f"{package.path}:{node.lineno}"


def test_no_circle_of_files():
    # The package itself is left out: what it imports, it imports when asked.
    graph = {m: imports(source) - {"jaxvlm", m} for m, source in sources().items()}
    assert circle(graph) == []


def test_ood_knows_of_clip_what_its_package_exports():
    for source in sources().values():
        if room(source.module) == "ood":
            inner = {m for m in imports(source) if m.startswith("jaxvlm.clip.")}
            assert not inner, f"{source.path}: import from jaxvlm.clip itself, not from {inner}"


def test_the_names_of_roles_stand_in_one_place():
    """Whoever adds a role writes it there: in `atoms.roles.ROLES`."""
    names = set(ROLES)
    for source in sources().values():
        if source.module.split(".")[0] in ("jaxvlm", "launch"):
            texts = {node.value for node in ast.walk(source.tree) if isinstance(node, ast.Constant)}
            assert source.module == "jaxvlm.atoms.roles" or not names & texts, source.path


def test_few_programs_use_the_world_and_nothing_imports_a_program():
    for source in sources().values():
        top, _, name = source.module.partition(".")
        if top == "launch" and any(room(m) == "world" for m in imports(source)):
            assert name in WORLD_PROGRAMS, source.path
        assert not {m for m in imports(source) if m.split(".")[0] == "launch"}, source.path


def test_studies_that_tests_import_have_flags_of_other_names():
    """One process may import them all, and absl refuses a name that is there already."""
    wanted = set()
    for path in sorted((ROOT / "tests" / "benchmarks").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        wanted |= imports(Source(path, path.stem, text, ast.parse(text)))
    while more := {m for name in wanted for m in imports(sources()[name])} - wanted:
        wanted |= more
    defined: dict[str, list[str]] = {}
    for module in sorted(name for name in wanted if name.startswith("benchmarks.")):
        for node in sources()[module].tree.body:
            call = node.value if isinstance(node, ast.Assign) else None
            function = call.func if isinstance(call, ast.Call) else None
            if isinstance(function, ast.Attribute) and function.attr.startswith("DEFINE_"):
                if not any(word.arg == "allow_override" for word in call.keywords):
                    defined.setdefault(ast.literal_eval(call.args[0]), []).append(module)
    assert len(defined) > 30
    assert not {name: at for name, at in defined.items() if len(at) > 1}


@pytest.mark.parametrize("folder", ["jaxvlm", "launch", "benchmarks"])
def test_files_and_functions_are_small(folder):
    limit = MAX_LAUNCHER_LINES if folder == "launch" else MAX_LINES
    wrong = []
    for source in sources().values():
        if source.module.split(".")[0] != folder:
            continue
        place = source.path.relative_to(ROOT)
        if (lines := len(source.text.splitlines())) > limit:
            wrong.append(f"{place}: {lines} lines")
        wrong += [
            f"{place}:{f.lineno}: {f.name} has {num_parameters(f)} parameters"
            for f in functions(source)
            if num_parameters(f) > MAX_PARAMETERS
        ]
    assert not wrong, "\n".join(wrong)


def test_files_of_tests_are_small():
    lines = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in ROOT.glob("tests/**/*.py")}
    assert not {path: count for path, count in lines.items() if count > MAX_LINES}


def test_a_source_is_one_that_a_reader_has():
    cited = [str(s.path.relative_to(ROOT)) for s in sources().values() if "DESIGN" in s.text]
    assert not cited, f"cite docs/mathematics.md or a paper: {cited}"


@pytest.mark.parametrize("name", ONCE)
def test_a_name_is_defined_once(name):
    places = [
        str(source.path.relative_to(ROOT))
        for module, source in sources().items()
        if module.split(".")[0] == "jaxvlm" and name in definitions(source)
    ]
    assert len(places) <= 1, places


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
