"""Flags of the launchers that score pictures: the pictures, and what they are compared with."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from jaxvlm.command import given
from jaxvlm.errors import InputError

# What goes with ID classes.
_OF_CLASSES = (
    "class_names", "class_embeddings", "id_dir", "id_embeddings", "keep_id", "label_devices",
    "method", "save_embeddings",
)  # fmt: skip
EMBEDDINGS = "FILE[#KEY][@LABELS] (.npy, .npz, .safetensors, .pt, .parquet)"


def define_queries() -> Callable[[], tuple[str, float, tuple[str, ...]] | None]:
    """``--queries``, which takes the place of classes, and ``--threshold``; before `define_words`.

    Returns a function that gives the file, the threshold and the fields of ``--config`` that are
    set; None where nothing is looked for. It raises InputError for flags that do nothing then.
    """
    source = flags.DEFINE_string(
        "queries", None, "Texts that are looked for, one a line, in place of ID classes."
    )
    threshold = flags.DEFINE_float("threshold", 0.5, "Score from which a picture matches a query.")

    def queries() -> tuple[str, float, tuple[str, ...]] | None:
        if source.value is None:
            given.refuse(["threshold"], "goes with --queries; leave it out")
            return None
        given.refuse(_OF_CLASSES, f"--queries={source.value} says what is looked for; leave it out")
        return source.value, threshold.value, tuple(given.fields())

    return queries


def refuse_idle(
    known: Any, keep_id: float | None, method: str | None, fields: Mapping[str, Any]
) -> None:
    """Raises InputError for a share of ID pictures where there are none, and for two methods."""
    if keep_id and not known:
        raise InputError("--keep_id: has no effect without ID pictures; give them as --id_dir")
    if method is not None and "method" in fields:
        raise InputError(f"--config.method: has no effect, because --method={method} decides")


def define_words() -> Callable[[], tuple[str | None, str | None, str | None, str | None]]:
    """The classes and the negatives as words and as embeddings, and the function that gives
    ``--class_names``, ``--negatives``, ``--class_embeddings`` and ``--negative_embeddings``."""
    classes = flags.DEFINE_string("class_names", None, "The ID classes, one a line.")
    negatives = flags.DEFINE_string(
        "negatives",
        None,
        "A word list (.txt, .pkl) or a folder of mine-negatives, NegAlign or NegRefine; "
        "default: the world's words.",
    )
    rows = (
        flags.DEFINE_string(
            "class_embeddings", None, f"Of the classes, instead of --clip: {EMBEDDINGS}."
        ),
        flags.DEFINE_string(
            "negative_embeddings", None, "Of the negatives, likewise, with words beside it or not."
        ),
    )
    instead = [name for name in ("class_embeddings", "queries") if name in flags.FLAGS]
    flags.register_multi_flags_validator(
        ["class_names", *instead],
        lambda values: any(values.values()),
        message="Flag --class_names must have a value other than None, or "
        + " or ".join(f"--{name}" for name in instead)
        + ".",
    )
    return lambda: (classes.value, negatives.value, *(row.value for row in rows))


class Sets(NamedTuple):
    """Flags of pictures, and those of embeddings in their place."""

    files: tuple[flags.FlagHolder, ...]
    rows: tuple[flags.FlagHolder, ...]

    def embedded(self) -> bool:
        """`are_embeddings` of these."""
        return are_embeddings(self.files, self.rows)

    def values(self, embedded: bool) -> list[Any]:
        """What the flags that apply name, None for one that is not given."""
        return [flag.value for flag in (self.rows if embedded else self.files)]


def define_sets() -> Sets:
    """``--id_dir``, ``--ood_dirs`` and ``--covariate_dirs``, or ``--id_embeddings``,
    ``--ood_embeddings`` and ``--covariate_embeddings``."""
    ids = flags.DEFINE_multi_string(
        "id_dir",
        None,
        "In-distribution sets: [NAME=][PRESET:]FOLDER, LIST[@ROOT], a tar, a folder of tars; "
        "commas between several, or the flag again.",
    )
    oods = flags.DEFINE_multi_string(
        "ood_dirs",
        None,
        "The others, likewise; GROUP/NAME=… or GROUP/PRESET:… adds the mean of each group's sets.",
    )
    shifted = flags.DEFINE_multi_string(
        "covariate_dirs",
        None,
        "Sets of the ID classes under covariate shift, ID too in the full spectrum, likewise.",
    )
    rows = (
        flags.DEFINE_multi_string(
            "id_embeddings", None, f"Embeddings instead of --id_dir: [NAME=]{EMBEDDINGS}."
        ),
        flags.DEFINE_multi_string("ood_embeddings", None, "Instead of --ood_dirs, likewise."),
        flags.DEFINE_multi_string(
            "covariate_embeddings", None, "Instead of --covariate_dirs, likewise."
        ),
    )
    for pair in zip((ids, oods), rows, strict=False):
        flags.mark_flags_as_mutual_exclusive([flag.name for flag in pair], required=True)
    return Sets((ids, oods, shifted), rows)


def define_images() -> Sets:
    """``--images`` and ``--id_dir``, or ``--image_embeddings`` and ``--id_embeddings``."""
    images = flags.DEFINE_string("images", None, "Pictures: folder, LIST[@ROOT], tar or tars.")
    known = flags.DEFINE_string(
        "id_dir",
        None,
        "Pictures known to be in-distribution, by which others are called in or out.",
    )
    rows = (
        flags.DEFINE_multi_string("image_embeddings", None, f"Instead of --images: {EMBEDDINGS}."),
        flags.DEFINE_multi_string("id_embeddings", None, "Instead of --id_dir, likewise."),
    )
    flags.mark_flags_as_mutual_exclusive(["images", "image_embeddings"], required=True)
    return Sets((images, known), rows)


def are_embeddings(files: Sequence[flags.FlagHolder], rows: Sequence[flags.FlagHolder]) -> bool:
    """Whether pictures are given as embeddings, by ``rows``, and not by ``files``.

    Raises InputError for some of each, and for flags of encoding, which do nothing then.
    """
    given_rows = [flag.name for flag in rows if flag.value]
    given_files = [flag.name for flag in files if flag.value]
    if given_rows and given_files:
        raise InputError(
            f"--{given_files[0]}: pictures, and --{given_rows[0]}: embeddings; give all sets as "
            "one of the two"
        )
    if given_rows:
        because = f"nothing is encoded, --{given_rows[0]} has the embeddings; leave it out"
        given.refuse(["store_dir", "save_embeddings"], because)
    return bool(given_rows)


def encoder_for(
    build: Callable[..., Any], config: Any, embedded: bool, words: Any, on_progress: Any
) -> Any:
    """The encoder that ``build`` makes; None where pictures are embedded and no text has to be,
    unless ``--clip`` is given.

    config: a flag whose value has the batch size. words: `pictures.labels.Words`.
    """
    if embedded and not words.need_encoder and not given.is_given("clip"):
        return None
    return build(config.value.batch_size, on_progress)
