"""What is said of keys that were given twice and of fields that nobody knows."""

from pilothouse.services.apiserver.rest import bodies, strict
from pilothouse.services.machinery.errors import BadRequest, Invalid

JSON = b'{"a":1,"x":1,"x":2,"s":{"b":1,"b":2,"y":1},"a":2}'
UNKNOWN = ['unknown field "s.y"', 'unknown field "x"']


def test_complaints_stand_as_the_document_does():
    found = bodies.decode(JSON, "json", "Warn")
    told = strict.complaints(found.duplicates, UNKNOWN, strict.places(found.value))
    assert told == [
        'duplicate field "a"', 'unknown field "x"', 'duplicate field "s.b"', 'unknown field "s.y"'
    ]  # fmt: skip


def test_yaml_tells_its_lines_first():
    found = bodies.decode(b"x: 1\na: 1\na: 2\nx: 2\n", "yaml", "Warn")
    assert strict.complaints(found.duplicates, UNKNOWN, {}) == [
        'yaml: unmarshal errors:\n  line 3: key "a" already set in map\n'
        '  line 4: key "x" already set in map',
        *UNKNOWN,
    ]


def test_a_patch_is_refused_as_invalid_and_a_configuration_as_malformed():
    refused = strict.refuse_patch("merge", {"a": 1}, ['unknown field "a"'])
    assert isinstance(refused, Invalid)
    assert refused.message == (
        ' "" is invalid: patch: Invalid value: "{\\"a\\":1}": strict decoding error: '
        'unknown field "a"'
    )
    applied = strict.refuse_patch("apply", {}, ['duplicate field "a"'])
    assert isinstance(applied, BadRequest)
    assert applied.message == 'error strict decoding patch: duplicate field "a"'
