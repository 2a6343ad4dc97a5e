"""The ledger: durable before the change, undone backwards, tolerant of a torn line."""

from pathlib import Path

from pilothouse.ops.local.ledger import Change, Ledger


def test_reads_backwards_what_was_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state" / "ledger.jsonl")
    first, second = Change("directory", "/var/lib/x"), Change("netns", "x")
    ledger.write(first)
    ledger.write(second)
    assert ledger.read() == [first, second]
    assert ledger.backwards() == [second, first]


def test_a_change_is_written_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for _ in range(3):
        ledger.write(Change("cgroup", "x"))
    assert len(ledger.path.read_text().splitlines()) == 1


def test_a_line_torn_by_a_power_loss_is_left_out(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.write(Change("netns", "x"))
    with ledger.path.open("a") as file:
        file.write('{"kind": "netns", "na')
    assert ledger.read() == [Change("netns", "x")]


def test_no_ledger_means_nothing_to_undo(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "none").backwards() == []
