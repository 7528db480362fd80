"""Text that others wrote, as a terminal may show it."""

import json
import re
from typing import Any

# C0 with tab and line ends, DEL, C1; line and paragraph separator; what reorders text (Unicode's
# bidirectional embeddings, overrides and isolates); halves of surrogate pairs, which are no text.
_HIDDEN = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_CONTROL = re.compile("[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")


def control_character(text: str) -> str | None:
    """The first character of a text that no name or line has, spelled: a control character that
    is no blank, or half a surrogate pair. None where all is well."""
    found = _CONTROL.search(text)
    return found and shown(found[0])


def shown(text: object) -> str:
    r"""A text on one line, its control characters spelled: ``a\x1b[2J``, ``a\nb``, ``\u202e``.

    Names of files, classes, events and atoms come from others. Written raw they could clear the
    screen, forge a line or hide what they are (CWE-150; for the order of text CVE-2021-42574).
    """
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def json_line(value: Any) -> str:
    """JSON on one line in printable ASCII."""
    return json.dumps(value).replace("\x7f", "\\u007f")  # the one that json leaves as it is
