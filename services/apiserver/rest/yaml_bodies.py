"""Bodies of requests in YAML. Pure."""

import re
from collections.abc import Iterable
from typing import Any

import yaml
from typing_extensions import override

from pilothouse.services.apiserver.rest.limits import DEPTH_MAX, DUPLICATES_TOLD_MAX
from pilothouse.services.machinery.errors import BadRequest


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: JSON's types only, keys are text, no references."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self.duplicates: list[str] = []

    @override
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        pairs = [
            (_key(self.construct_object(key, deep=True)), self.construct_object(value, deep=True))
            for key, value in node.value
        ]
        value = dict(pairs)
        if len(value) != len(pairs):
            self._tell([(key, node.value[index][0]) for index, (key, _) in enumerate(pairs)])
        return value

    def _tell(self, keys: Iterable[tuple[str, yaml.Node]]) -> None:
        seen: set[str] = set()
        for key, node in keys:
            if key in seen and len(self.duplicates) < DUPLICATES_TOLD_MAX:
                line = node.start_mark.line + 1
                self.duplicates.append(f'line {line}: key "{key}" already set in map')
            seen.add(key)


def _key(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_TAGS = ("null", "bool", "int", "float", "str", "seq", "map")
_Loader.yaml_constructors = {
    tag: constructor
    for tag, constructor in yaml.CSafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in _TAGS
}
# Numbers as JSON and YAML 1.2 write them: 22:22 is text, 1e3 is a number.
_NUMBERS = {
    "int": re.compile(r"[-+]?(0b[01]+|0x[0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$"),
    "float": re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"),
}
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, _NUMBERS.get(tag.rpartition(":")[2], pattern))
        for tag, pattern in sorted(resolvers, key=lambda each: each[0].endswith(":float"))
        if tag.rpartition(":")[2] in ("null", "bool", "int", "float")
    ]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read(body: bytes) -> tuple[Any, list[str]]:
    """The value of a body, and what to say of keys that were given twice.

    Raises:
        BadRequest: it is malformed, too deep, or refers to itself.
    """
    try:
        _refuse_references(body)
        loader = _Loader(body)
        try:
            value = loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise BadRequest(f"error converting YAML to JSON: yaml: {_where(error)}") from None
    except (ValueError, RecursionError, OverflowError):
        raise BadRequest("error converting YAML to JSON") from None
    return value, loader.duplicates


def _refuse_references(body: bytes) -> None:
    """Aliases make small bodies large; depth is counted before anything recurses."""
    depth = 0
    for event in yaml.parse(body, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise BadRequest("YAML aliases are not allowed in a request")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_MAX:
                raise BadRequest(f"the body is nested deeper than {DEPTH_MAX} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _where(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return "the text is malformed"
