"""One operation of one path, as both versions of OpenAPI tell it; and how operations are named."""

from dataclasses import dataclass

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
ANY = ("*/*",)
META = "io.k8s.apimachinery.pkg.apis.meta.v1"
STATUS = f"{META}.Status"
DELETE_OPTIONS = f"{META}.DeleteOptions"
PATCH = f"{META}.Patch"
TEXT = "string"
"""In the place of a definition: the answer is text."""


@dataclass(frozen=True, slots=True)
class Operation:
    """``answers`` gives for each status code the definition of the answer, empty for none.

    ``action`` and ``spoken`` (group, version, kind) are empty for what is about no kind.
    """

    path: str
    method: str
    id: str
    tag: str
    description: str
    answers: tuple[tuple[int, str], ...]
    query: tuple[str, ...] = ()
    produces: tuple[str, ...] = (JSON, YAML, PROTOBUF)
    consumes: tuple[str, ...] = ANY
    body: str = ""
    body_required: bool = True
    action: str = ""
    spoken: tuple[str, str, str] = ("", "", "")

    @property
    def in_path(self) -> tuple[str, ...]:
        """The parameters of the path, in its order."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


def group_words(group: str, version: str = "") -> str:
    """How the group, and the version, stand in an operation's name: ``CoreV1``."""
    return "".join(_words(part) for part in (_short(group), version) if part)


def tag(group: str, version: str = "") -> str:
    """``core_v1``."""
    name = _words(_short(group))
    name = name[:1].lower() + name[1:]
    return f"{name}_{version}" if version else name


def titled(subresource: str) -> str:
    """``ephemeralcontainers`` as it ends a name."""
    return subresource.capitalize()


def _short(group: str) -> str:
    return (group or "core").removesuffix(".k8s.io")


def _words(text: str) -> str:
    """Each word with a capital, without what stands between them."""
    out, capital = "", True
    for letter in text:
        if letter.isalpha() or letter == "_" or (out and letter.isdigit()):
            out += letter.upper() if capital else letter
            capital = False
        else:
            capital = True
    return out
