"""Regular expressions of schemas, in Go's syntax (RE2), which no input can make slow.

Most patterns mean the same to Python's ``re``, which is faster to call; it is used for those in
which no repetition stands inside another or beside one that could take the same text.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

Matches = Callable[[str], bool]

# One class of characters, repeated or not, between anchors; or literal text beside it.
_ATOM = r"(?:\\[.\-/_:]|[A-Za-z0-9 _:/=@,-]|\[[A-Za-z0-9 _.:/@+-]+\])"
_PLAIN = re.compile(rf"\^{_ATOM}*(?:{_ATOM}(?:[*+?]|\{{\d{{1,3}}(?:,\d{{0,3}})?\}})?){_ATOM}*\$")


class BadPattern(ValueError):
    """The text is no regular expression of RE2; the message says why."""


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> Matches:
    """Whether a text has the pattern anywhere in it; BadPattern where it is none."""
    options = re2.Options()
    options.log_errors = False
    # Whether, and not where: the engine then needs one pass without memory of groups.
    options.never_capture = True
    try:
        compiled: Any = re2.compile(pattern.encode(), options)
    except re2.error as error:
        raise BadPattern(_reason(error)) from None
    if _PLAIN.fullmatch(pattern):
        # Go's $ is the end of the text; Python's stands also before a last line break.
        search = re.compile(pattern[:-1] + r"\Z", re.ASCII).search
        return lambda text: search(text) is not None
    search_re2 = compiled.search
    return lambda text: search_re2(text.encode(errors="replace")) is not None


def _reason(error: Exception) -> str:
    detail = error.args[0] if error.args else "invalid pattern"
    if isinstance(detail, bytes):
        detail = detail.decode(errors="replace")
    return f"error parsing regexp: {detail}"
