"""The log format: what any cut of the bytes adds up to."""

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.cri_shim.logs.files import stamp
from pilothouse.cri_shim.logs.lines import Splitter

STAMP = "2026-11-21T00:00:00.000000000Z"


def _entries(log: bytes) -> list[tuple[bytes, bytes]]:
    found = []
    for entry in log.splitlines(keepends=True):
        time, stream, tag, text = entry.split(b" ", 3)
        assert (time.decode(), stream) == (STAMP, b"stdout")
        found.append((tag, text.removesuffix(b"\n")))
    return found


@given(st.lists(st.text("ab\n", max_size=12).map(str.encode), max_size=8))
def test_no_cut_changes_what_was_said(chunks: list[bytes]) -> None:
    splitter = Splitter("stdout", line_bytes_max=4)
    log = b"".join(splitter.feed(chunk, STAMP) for chunk in chunks) + splitter.finish(STAMP)
    said = b""
    for tag, text in _entries(log):
        assert len(text) <= 4
        said += text + (b"\n" if tag == b"F" else b"")
    assert said == b"".join(chunks)


def test_a_long_line_comes_in_parts_of_the_same_size() -> None:
    splitter = Splitter("stdout", line_bytes_max=4)
    log = splitter.feed(b"12345678", STAMP) + splitter.feed(b"9\nx\n\n", STAMP)
    assert _entries(log) == [
        (b"P", b"1234"), (b"P", b"5678"), (b"F", b"9"), (b"F", b"x"), (b"F", b""),
    ]  # fmt: skip
    assert splitter.finish(STAMP) == b""


def test_a_flood_without_a_newline_is_not_kept() -> None:
    splitter = Splitter("stderr")
    for _ in range(100):
        splitter.feed(b"x" * 65536, STAMP)
    assert len(splitter._rest) <= 16 * 1024


def test_stamps_are_of_one_length() -> None:
    assert stamp(0.0) == "1970-01-01T00:00:00.000000000Z"
    assert stamp(1.5) == "1970-01-01T00:00:01.500000000Z"
