"""The text of ``jaxvlm PROGRAM --help``: what one would set first, and an example.

absl's own lists flags by the alphabet and the file that defines them, those of libraries too.
"""

import functools
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from jaxvlm import resources, settings
from jaxvlm.command import given

_WORDS = {"help", "helpshort", "helpfull", "h"}
# Flags that have a group of their own, by the module that defines them.
_SHARED = {
    "jaxvlm.command.encoder_flags": "The encoder",
    "jaxvlm.command.cli": "Devices and processes",
}
_ORDER = ("Needed", "May be given", "The encoder", "Settings", "Devices and processes")
_INDENT = 24  # columns of the flags' names

# What one would write first; `tests/command/test_help.py` parses each.
EXAMPLES = {
    "caption_frames": "--frames_root=frames --ontology=my.yaml --out=captions.json",
    "check_ontology": "--ontology=my.yaml --clip=openai/clip-vit-base-patch32",
    "compare_results": "--results=table/results.json,theirs/ood/msp.csv --out_csv=both.csv",
    "convert_prototype": "--source=prototype_runs --out_dir=runs",
    "demo": "--out_dir=out/demo",
    "evaluate_ood": "--id_dir=known/ --ood_dirs=sun:SUN/,mine=others/ --class_names=classes.txt "
    "--negatives=negatives --clip=openai/clip-vit-base-patch16 --out_dir=table",
    "evaluate_video": "--scores_dir=scored --intervals_csv=intervals.csv",
    "export_roles": "--roles=roles/model --out=roles.yaml",
    "extract_frames": "--video=clips/ --out_dir=frames --fps=1",
    "learn_ordinary": "--video=ordinary/ --roles=ontology --ontology=my.yaml "
    "--clip=openai/clip-vit-base-patch32 --out_dir=gate",
    "mine_negatives": "--class_names=classes.txt --wordnet_dir=/usr/share/wordnet "
    "--clip=openai/clip-vit-base-patch16 --out_dir=negatives",
    "propose_atoms": "--captions=captions.json --labels_csv=labels.csv --ontology=my.yaml "
    "--out_dir=proposals",
    "render_ood": "--out_dir=pictures",
    "render_world": "--out_dir=world",
    "run_pipeline": "--frames_root=frames --labels_csv=labels.csv --ontology=my.yaml "
    "--clip=openai/clip-vit-base-patch32 --out_dir=runs",
    "score_images": "--images=photos/ --class_names=classes.txt --negatives=negatives "
    "--clip=openai/clip-vit-base-patch16 --out_dir=unknown",
    "score_video": "--video=clips/ --roles=ontology --ontology=my.yaml "
    "--clip=openai/clip-vit-base-patch32 --out_dir=look",
    "split_negatives": "--negatives=negatives --clip=openai/clip-vit-base-patch16 --out_dir=split",
    "train_clip": "--out_dir=my_clip",
    "train_role_learning": "--manifest_csv=runs/manifest.csv --out_dir=roles",
    "watch": "--source=rtsp://camera/stream --roles=roles/model "
    "--clip=openai/clip-vit-base-patch32",
}


def asked(arguments: Sequence[str]) -> str | None:
    """What the words of a command line want to know: "" the flags, "config" the fields of that
    flag; None: nothing."""
    for argument in arguments:
        name, _, subject = argument.lstrip("-").partition("=")
        if argument.startswith("-") and name in _WORDS:
            return subject
    return None


def text(program: str, summary: str, subject: str = "") -> str:
    """The help of a program whose flags are defined: all of them, or the fields of a config.

    Args:
      program: the launcher's name, as ``score_video``.
      summary: what the program is for.
      subject: the name of a config's flag; any other word is passed over.
    """
    width = max(60, min(shutil.get_terminal_size((100, 24)).columns, 100))
    if subject in flags.FLAGS and _config_file(flags.FLAGS[subject]):
        return "\n".join(_fields(flags.FLAGS[subject], width))
    groups: dict[str, list[str]] = {name: [] for name in _ORDER}
    first = [word.partition("=")[0] for word in EXAMPLES.get(program, "").split(" --")]
    order = {name.removeprefix("--"): place for place, name in enumerate(first)}
    for flag in sorted(_own_flags(), key=lambda flag: order.get(flag.name, len(order))):
        groups[_group(flag, flag.name in order)] += _flag_lines(flag, width)
    lines = [summary.strip()]
    if program in EXAMPLES:
        lines += ["", *_command(program, EXAMPLES[program], width)]
    for name, members in groups.items():
        lines += ["", f"{name}:", *members] if members else []
    return "\n".join(lines)


def _own_flags() -> Iterator[flags.Flag]:
    """The flags of the launcher and of this package, in the order in which they are defined."""
    for module, own in flags.FLAGS.flags_by_module_dict().items():
        if module == sys.argv[0] or module.startswith("jaxvlm."):
            yield from own


def _group(flag: flags.Flag, shown: bool) -> str:
    """shown: it is in the example, where of several flags, one of which is needed, one stands."""
    if _config_file(flag):
        return "Settings"
    module = flags.FLAGS.find_module_defining_flag(flag.name)
    return _SHARED.get(module, "Needed" if shown and _is_required(flag) else "May be given")


def _config_file(flag: flags.Flag) -> str | None:
    try:
        return config_flags.get_config_filename(flag)
    except TypeError:  # how it says that this is none
        return None


def _is_required(flag: flags.Flag) -> bool:
    """Whether a validator refuses the flag where nobody gave it."""
    if flag.default is not None:
        return False
    try:
        for validator in flag.validators:
            validator.verify(flags.FLAGS)
    except flags.ValidationError:
        return True
    return False


def _flag_lines(flag: flags.Flag, width: int) -> list[str]:
    name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
    words = " ".join((flag.help or "").split())  # absl puts choices before it
    parts = [words.replace(".; repeat this option to specify a list of values", "; repeatable.")]
    if _config_file(flag):
        parts.append(f"--help={flag.name} lists them. (default: {_shown(_config_file(flag))})")
    elif flag.default is None and (field := _field(flag)) is not None:
        parts.append(f"(default: {_shown(field)}, of --config)")
    elif flag.default not in (None, [], "") and flag.default is not False:
        parts.append(f"(default: {_shown(flag.default)})")
    return _entry(name, " ".join(parts), width)


def _field(flag: flags.Flag) -> Any:
    """The value of the config's field that a flag sets; None for other flags."""
    if flag.name not in given.FIELDS or "config" not in flags.FLAGS:
        return None
    field = given.FIELDS[flag.name]
    return functools.reduce(getattr, field.split("."), flags.FLAGS["config"].value)


def _fields(flag: flags.Flag, width: int) -> Iterator[str]:
    """A config's settings, those of each part together."""
    yield f"The settings of {_shown(_config_file(flag))}; --{flag.name}=FILE.py takes another"
    yield f"file, --{flag.name}.NAME=VALUE sets one."
    part = None
    for setting in settings.described(flag.value):
        above, _, name = setting.name.rpartition(".")
        if above != part:
            part = above
            yield ""
            yield f"{above}:" if above else "all:"
        parts = [setting.meaning]
        if setting.choices:
            parts.append(f"One of {', '.join(setting.choices)}.")
        parts.append(f"(here: {setting.value})")
        yield from _entry(f"--{flag.name}.{setting.name}", " ".join(parts).strip(), width)


def _entry(name: str, words: str, width: int) -> list[str]:
    """A name and, beside or below it, what it is."""
    room = width - _INDENT
    lines = textwrap.wrap(words, room, break_on_hyphens=False, break_long_words=False) or [""]
    if len(name) + 4 > _INDENT:
        return [f"  {name}", *(f"{'':{_INDENT}}{line}" for line in lines)]
    first, *rest = lines
    return [f"  {name:{_INDENT - 2}}{first}", *(f"{'':{_INDENT}}{line}" for line in rest)]


def _command(program: str, example: str, width: int) -> list[str]:
    """The example as one can paste it, broken between flags."""
    words = f"jaxvlm {program.replace('_', '-')} {example}"
    lines = textwrap.wrap(
        words, width - 10, break_on_hyphens=False, break_long_words=False, subsequent_indent="    "
    )
    return [f"    {line} \\" for line in lines[:-1]] + [f"    {lines[-1]}"]


def _shown(value: Any) -> str:
    """A default as one would write it: shipped files from the top, the home folder as ~."""
    texts = []
    for one in value if isinstance(value, list) else [value]:
        shipped = Path(str(one)).is_relative_to(resources.path("."))
        text = str(Path(one).relative_to(resources.path("."))) if shipped else str(one)
        home = str(Path.home())
        texts.append("~" + text[len(home) :] if text.startswith(home + "/") else text)
    return ", ".join(texts)
