"""The command ``jaxvlm PROGRAM …``: which programs there are, and how one is started.

A program is a file of ``launch/``. Nothing heavy is imported before one is started, so that the
list comes at once.
"""

import ast
import importlib.util
import sys
from collections.abc import Sequence

import jaxvlm
from jaxvlm import resources
from jaxvlm.command import process, starting
from jaxvlm.terminal import shown

PROGRAMS = {
    "Look at my videos": ("score-video", "watch", "learn-ordinary"),
    "Find unknown pictures": ("score-images", "mine-negatives", "split-negatives"),
    "Learn": (
        "extract-frames",
        "caption-frames",
        "check-ontology",
        "propose-atoms",
        "run-pipeline",
        "train-role-learning",
        "export-roles",
    ),
    "Measure": ("evaluate-video", "evaluate-ood", "compare-results", "demo"),
    "Data and models": ("render-world", "render-ood", "train-clip", "convert-prototype"),
}
NAMES = tuple(name for names in PROGRAMS.values() for name in names)

_USAGE = """\
jaxvlm PROGRAM --FLAG=VALUE …
jaxvlm PROGRAM --help            the program's flags
jaxvlm --help | --version
jaxvlm --completion bash         for ~/.bashrc: eval "$(jaxvlm --completion bash)\""""
# Names as the first word, files after it.
_COMPLETION = """\
_jaxvlm() {{ COMPREPLY=(); [ "$COMP_CWORD" = 1 ] && \
COMPREPLY=($(compgen -W "{words}" -- "${{COMP_WORDS[1]}}")); }}; \
complete -o default -F _jaxvlm jaxvlm"""


def main(words: Sequence[str] | None = None) -> None:
    """Does what the words behind ``jaxvlm`` say; none: those of the command line."""
    process.prepare()
    first, *rest = (sys.argv[1:] if words is None else words) or ["--help"]
    if first in ("--help", "-h"):
        print(overview())
    elif first == "--version":
        print(f"jaxvlm {jaxvlm.__version__}")
    elif first == "--completion":
        if rest != ["bash"]:
            sys.exit("error: jaxvlm --completion: only for bash; write --completion bash")
        print(_COMPLETION.format(words=" ".join(NAMES)))
    elif (name := first.replace("_", "-")) in NAMES:
        start(name, rest)
    else:
        sys.exit(f"error: jaxvlm {shown(first)}: no such program; {_nearest(name)}")
    sys.stdout.flush()
    process.check()


def start(name: str, arguments: Sequence[str]) -> None:
    """Runs a program's launcher as the main module, as ``python launch/NAME.py`` would.

    absl takes the help text from the main module, and tells its flags from those of libraries, by
    the command's name that it finds in ``sys.argv``.
    """
    path = resources.path(f"launch/{name.replace('-', '_')}.py")
    spec = importlib.util.spec_from_file_location("__main__", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["__main__"] = module
    sys.argv = [f"jaxvlm {name}", *arguments]
    starting.begin(name)  # until there is something to show
    spec.loader.exec_module(module)


def overview() -> str:
    """All programs by what one wants to do, a line each, and how they are called."""
    width = max(map(len, NAMES))
    lines = [jaxvlm.__doc__]
    for wish, names in PROGRAMS.items():
        lines += ["", wish, *(f"  {name:{width}}  {summary(name)}" for name in names)]
    return "\n".join([*lines, "", _USAGE])


def summary(name: str) -> str:
    """The first line of a launcher's docstring, read without importing it."""
    path = resources.path(f"launch/{name.replace('-', '_')}.py")
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return docstring.splitlines()[0]


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, NAMES, n=1)
    return f"did you mean {near[0]}?" if near else "see jaxvlm --help"
