"""An entry whose value lies in a longer text is the same entry."""

from pilothouse.services.machinery.storage import Entry


def entry(value: bytes) -> Entry:
    return Entry(b"/k", value, 2, 3, 1)


def test_a_value_may_lie_in_a_longer_text() -> None:
    lying = entry(b'{"a":1,"b":2}')
    lying.lie_in(b'{"a":1,"rv":"7","b":2}', 7, 16)
    assert lying.value == b'{"a":1,"b":2}'
    assert lying == entry(b'{"a":1,"b":2}')
    assert hash(lying) == hash(entry(b'{"a":1,"b":2}'))
    lying.lie_in(b'{"a":1,"rv":"12","b":2}', 7, 17)
    assert lying.value == b'{"a":1,"b":2}'


def test_a_text_that_does_not_hold_the_value_is_not_taken() -> None:
    kept = entry(b'{"a":1,"b":2}')
    kept.lie_in(b'{"a":1,"rv":"7","b":3}', 7, 16)
    assert kept.value == b'{"a":1,"b":2}'
    assert kept != entry(b'{"a":1,"b":3}')
