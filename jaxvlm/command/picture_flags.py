"""Flags of the launchers that score pictures: what these are compared with."""

from collections.abc import Callable

from absl import flags


def define_words() -> Callable[[], tuple[str, str | None]]:
    """``--class_names`` and ``--negatives``, and the function that gives both."""
    classes = flags.DEFINE_string("class_names", None, "The ID classes, one a line.", required=True)
    negatives = flags.DEFINE_string(
        "negatives",
        None,
        "A word list (.txt, .pkl) or a folder of mine-negatives, NegAlign or NegRefine; "
        "default: the world's words.",
    )
    return lambda: (classes.value, negatives.value)
