"""What the history of a kind costs: the texts that nobody else keeps."""

from pilothouse.services.apiserver.cache import history
from pilothouse.services.apiserver.cache.history import History, Record
from pilothouse.services.apiserver.cache.items import Item
from pilothouse.services.apiserver.requests import Stored, WatchEvent
from pilothouse.services.machinery.objects import Key

KEY = Key("default", "a")


def item(revision, size):
    return Item(Stored(KEY, revision, b"x" * size), lambda _json: {})


def changed(old, new):
    type_ = "ADDED" if old is None else "MODIFIED"
    return Record(new.stored.revision, KEY, old, new, WatchEvent(type_, new.stored))


def test_births_cost_nothing_and_former_texts_are_bounded(monkeypatch):
    monkeypatch.setattr(history, "BYTES_MAX", 1000)
    kept = History(0)
    live = [item(revision, 600) for revision in range(1, 8)]
    kept.add(changed(None, live[0]))
    kept.add(changed(None, live[1]))
    assert len(kept) == 2
    kept.add(changed(live[0], live[2]))
    assert (len(kept), kept.since) == (3, 0)
    kept.add(changed(live[2], live[3]))
    assert (len(kept), kept.since) == (1, 3)


def test_a_deletion_keeps_two_texts(monkeypatch):
    monkeypatch.setattr(history, "BYTES_MAX", 1000)
    kept = History(0)
    gone = Stored(KEY, 2, b"y" * 600, deleted=True)
    kept.add(Record(2, KEY, item(1, 600), None, WatchEvent("DELETED", gone)))
    assert (len(kept), kept.since) == (0, 2)
