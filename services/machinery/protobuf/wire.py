"""Protobuf's wire format: tags, varints and lengths, by hand.

Readers take the whole buffer and a position, and return the position after what they read; they
never go past ``end``. A buffer that ends too early is an IndexError or a :class:`Malformed`.
"""

from dataclasses import dataclass

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MORE = 0x80
_BITS = 0x7F
_SHIFT_MAX = 63
_WORD = 2**64
_FIXED = {FIXED64: 8, FIXED32: 4}
NUMBER_MAX = 2**29


class Malformed(ValueError):
    """The bytes are no message of this kind; the text says why."""


@dataclass(slots=True)
class Limits:
    """What one body may still use: levels below the present one, and messages in all."""

    depth: int = 100
    messages: int = 100_000

    def enter(self) -> None:
        """Count one message more; Malformed when there are too many, or too deep inside another."""
        self.depth -= 1
        self.messages -= 1
        if self.depth < 0 or self.messages < 0:
            raise Malformed("it is nested too deeply or holds too many messages")


def long_varint(buffer: bytes, at: int, first: int) -> tuple[int, int]:
    """The varint that began with the byte ``first``, which says that more follow."""
    value = first & _BITS
    shift = 7
    while True:
        octet = buffer[at]
        at += 1
        value |= (octet & _BITS) << shift
        if octet < MORE:
            if value >= _WORD:
                raise Malformed("a number is over 64 bits")
            return value, at
        shift += 7
        if shift > _SHIFT_MAX:
            raise Malformed("a number is over 64 bits")


def extent(buffer: bytes, at: int, end: int) -> tuple[int, int]:
    """Start and stop of the content that a length at ``at`` announces."""
    size = buffer[at]
    at += 1
    if size >= MORE:
        size, at = long_varint(buffer, at, size)
    stop = at + size
    if stop > end:
        raise Malformed("unexpected EOF")
    return at, stop


def skip(buffer: bytes, at: int, end: int, tag: int) -> int:
    """Pass over the content of a field that is not known."""
    wire = tag & 7
    if not 0 < tag >> 3 < NUMBER_MAX:
        raise Malformed(f"illegal tag {tag >> 3} (wire type {wire})")
    if wire == VARINT:
        octet = buffer[at]
        at += 1
        return long_varint(buffer, at, octet)[1] if octet >= MORE else at
    if wire == LENGTH:
        return extent(buffer, at, end)[1]
    if wire not in _FIXED:
        raise Malformed(f"illegal wire type {wire}")
    return at + _FIXED[wire]


def varint(value: int) -> bytes:
    """A number from minus 2**63 up to 2**64, as a varint."""
    value &= _WORD - 1
    if value < MORE:
        return bytes((value,))
    octets = bytearray()
    while value >= MORE:
        octets.append(value & _BITS | MORE)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def tag(number: int, wire: int) -> int:
    """The number that stands before a field's content."""
    return number << 3 | wire


def delimited(number: int, content: bytes) -> bytes:
    """A field of text, octets or a message."""
    return varint(tag(number, LENGTH)) + varint(len(content)) + content
