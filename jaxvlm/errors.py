"""The one exception that means "the input is wrong", as opposed to "the program is wrong"."""


class InputError(ValueError):
    """Bad input, said in one line: ``FILE: cause; cure``.

    Launchers print it without a traceback and exit with 1. Anything else that escapes is a bug
    and keeps its traceback.
    """
