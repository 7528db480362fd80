"""What every launcher shares: flags in, one clear line out when the input is wrong.

Nothing heavy is imported before the flags are read: `--help` and a wrong flag come at once. A
launcher imports at its top what its flags need, and in `main` what it works with.
"""

from __future__ import annotations

import contextlib
import functools
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from absl import app, flags, logging
from ml_collections import config_flags

from jaxvlm import joined, outputs, resources, runs
from jaxvlm.command import compiled, given, help, places, process, starting, unused
from jaxvlm.errors import DiskError, InputError
from jaxvlm.terminal import shown

if TYPE_CHECKING:
    from jax.sharding import Mesh


def run(main: Callable[[], None]) -> None:
    """Parses the flags, keeps what is compiled and calls ``main``.

    An InputError becomes one line on stderr and exit code 1; so does an interrupt (130), even one
    that a library swallowed. Every other exception keeps its traceback.
    """
    process.prepare()

    def checked(arguments: Sequence[str]) -> None:
        process.show_logs()
        if len(arguments) > 1:
            words = " ".join(arguments[1:])
            refuse(f"{words}: not a flag; write --name=value, see --help")
        if flags.FLAGS.verbosity == 0:  # absl's choice: JAX would tell of every backend it tries
            logging.set_verbosity(logging.WARNING)
        written: list[Path] = []
        try:
            places.check_places(_given_places())
            places.require_outputs(_given_places())
            running = runs.program(given.program())
            with compiled.kept(warn), running, outputs.noted() as written:
                main()
        except DiskError as error:
            told = [str(error), places.standing(written)]
            if "store_dir" in flags.FLAGS:
                told.append(places.kept(flags.FLAGS["store_dir"].value))
            refuse("; ".join(told))
        except InputError as error:
            refuse(error)
        except KeyboardInterrupt:
            process.end()
        except Exception as error:  # a bug, unless it is of another process that is gone
            joined.hold(error)
            raise
        finally:
            starting.end()
            process.finish()
            process.check()

    try:
        app.run(checked, flags_parser=_parse_flags)
    except SystemExit as ended:
        if ended.code not in (None, 0, 1):  # 1: done, and some items failed, as all processes know
            joined.give_up(ended.code if isinstance(ended.code, int) else 1)
        raise


def refuse(cause: object) -> NoReturn:
    """Ends the program: one line on stderr and exit code 1, or as interrupted if that is why."""
    starting.end()
    process.check()
    sys.exit(f"error: {shown(cause)}")


def define_config(name: str, default: str, text: str) -> flags.FlagHolder:
    """A flag that names a config file, whose fields are flags too: ``--config.FIELD=VALUE``.

    ``default``: a file under ``configs/``; these are found from any folder. A file that is missing
    and a field that there is not end the program with one line.
    """
    path = str(resources.path(f"configs/{default}"))
    with _config_errors():
        holder = config_flags.DEFINE_config_file(
            name, path, f"{text}; --{name}.FIELD=VALUE sets one."
        )

    def loads(config: Any) -> bool:
        try:
            return bool(config.__dataclass_fields__)
        except (AttributeError, OSError):
            file = config_flags.get_config_filename(flags.FLAGS[name])
            refuse(f"--{name}: {file} is missing or gives no config; take one of configs/")

    flags.register_validator(holder, loads)
    return holder


def define_devices(*, label: bool = False) -> Callable[[], Mesh | None]:
    """Flags of devices and processes, and the function that gives the mesh; None on one device.

    The function joins the processes, so it has to be called before anything else of JAX. label:
    whether there are label banks to split.
    """
    distributed = flags.DEFINE_bool(
        "distributed",
        False,
        "Join the processes that SLURM, Open MPI, Kubernetes or a pod started.",
    )
    address = flags.DEFINE_string(
        "coordinator_address", None, "HOST:PORT of process 0, to join processes started by hand."
    )
    count = flags.DEFINE_integer("num_processes", None, "How many there are, with the address.")
    number = flags.DEFINE_integer("process_id", None, "Which this one is, from 0.")
    labels = None
    if label:
        labels = flags.DEFINE_integer(
            "label_devices", 1, "Devices that share the label banks between them.", lower_bound=1
        )

    def devices() -> Mesh | None:
        import jax

        from jaxvlm import parallel

        if address.value is None:
            unused.in_processes()
        if distributed.value or address.value is not None:
            parallel.start(address.value, count.value, number.value)
        wanted = labels.value if labels is not None else 1
        return None if jax.device_count() == 1 == wanted else parallel.make_mesh(label=wanted)

    return devices


def show(line: object) -> None:
    """Prints a line at once, its control characters spelled."""
    starting.end()
    print(shown(line), flush=True)


def warn(line: object) -> None:
    """Prints a warning on stderr, where it stands in no output."""
    note(f"warning: {line}")


def note(line: object) -> None:
    """Tells a line on stderr, where it stands in no output."""
    starting.end()
    print(shown(line), file=sys.stderr, flush=True)


def show_table(text: str) -> None:
    """Prints the lines of a table that pandas wrote, which spells line ends in cells."""
    for line in text.split("\n"):
        show(line)


def say(*lines: object) -> None:
    """`show` for each, but of several processes the first one does."""
    from jaxvlm import parallel

    for line in lines if parallel.is_writer() else ():
        show(line)


def _parse_flags(arguments: Sequence[str]) -> list[str]:
    subject = help.asked(arguments[1:])
    if subject is not None:
        main = sys.modules["__main__"]
        show_table(help.text(Path(main.__file__).stem, main.__doc__ or "", subject))
        sys.exit(0)
    with _config_errors():
        try:
            rest = flags.FLAGS([_shipped_config(text) for text in arguments])
        except flags.Error as error:
            refuse(f"{' '.join(str(error).split())}; see --help")
    for name in flags.FLAGS:  # absl takes nan for a number within any bounds
        value = flags.FLAGS[name].value
        if isinstance(value, float) and not math.isfinite(value):
            refuse(f"flag --{name}={value:g}: no finite number; see --help")
    return rest


def _given_places() -> dict[str, Any]:
    """What the flags were given that name a place; of a config its file."""
    values = {}
    for name in (*places.OUTPUTS, *places.DATA, *places.INPUTS):
        if name in flags.FLAGS:
            value = flags.FLAGS[name].value
            is_text = value is None or isinstance(value, str | list)
            values[name] = value if is_text else config_flags.get_config_filename(flags.FLAGS[name])
    return values


def _shipped_config(argument: str) -> str:
    """``--config=configs/world.py`` means the shipped file where the folder has none of this name:
    an installed package has its configs elsewhere. So with ontologies."""
    flag, equals, path = argument.partition("=")
    if (
        flag.lstrip("-") in ("config", "ood_config", "ontology")
        and equals
        and not Path(path).exists()
    ):
        shipped = resources.path(path)
        if path.startswith("configs/") and shipped.is_file():
            return f"{flag}={shipped}"
    return argument


@contextlib.contextmanager
def _config_errors() -> Iterator[None]:
    """One line for a field that a config lacks: ml_collections lets its own errors through, when
    the flag is defined or when it is parsed, as it happens."""
    try:
        yield
    except (AttributeError, KeyError, TypeError) as error:
        cause = " ".join(str(error.args[0] if error.args else error).split())
        refuse(f"--config: {cause}; see the config file for the fields that there are")


def override(config: Any, values: Mapping[str, Any]) -> Any:
    """Sets dotted fields of a config from flags; a flag that was not given (None) leaves it."""
    for field, value in values.items():
        if value is not None:
            *parents, name = field.split(".")
            setattr(functools.reduce(getattr, parents, config), name, value)
    return config


def report_failures(failures: Sequence[str]) -> None:
    """Prints a line per item that failed and exits with 1 if there is one."""
    from jaxvlm import parallel

    starting.end()
    for failure in failures if parallel.is_writer() else ():
        print(f"failed: {shown(failure)}", file=sys.stderr)
    if failures:
        sys.exit(1)
