"""The keyspace against the simplest model there is: every revision's keys kept whole."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.services.machinery.storage import Compacted, Entry
from pilothouse.services.store.embedded import open_store
from pilothouse.services.store.keyspace import Keyspace
from pilothouse.services.store.requests import DeleteRange, Put, Range, Txn, check
from pilothouse.services.store.spans import Span, of_prefix, of_request

KEYS = [b"a", b"a/1", b"a/2", b"b", b"b/1"]

puts = st.builds(Put, key=st.sampled_from(KEYS), value=st.binary(max_size=3))
deletes = st.builds(
    DeleteRange, key=st.sampled_from(KEYS), range_end=st.sampled_from([b"", b"b", b"\0"])
)
single = st.one_of(puts, deletes).map(lambda operation: Txn(success=(operation,)))
several = st.lists(puts, max_size=3, unique_by=lambda put: put.key).map(lambda all_: Txn((), all_))
steps = st.lists(
    st.one_of(single, several, st.integers(1, 9), st.just("reopen")), min_size=1, max_size=25
)


@dataclass
class Model:
    """All keys at each revision."""

    states: dict[int, dict[bytes, Entry]] = field(default_factory=lambda: {1: {}})
    revision: int = 1
    compacted: int = 0

    def apply(self, txn: Txn) -> None:
        keys = dict(self.states[self.revision])
        revision = self.revision + 1
        changed = False
        for operation in txn.success:
            if isinstance(operation, Put):
                old = keys.get(operation.key)
                created = old.create_revision if old else revision
                version = old.version + 1 if old else 1
                keys[operation.key] = Entry(
                    operation.key, operation.value, created, revision, version, 0
                )
                changed = True
            elif isinstance(operation, DeleteRange):
                span = of_request(operation.key, operation.range_end)
                for key in [key for key in keys if key in span]:
                    del keys[key]
                    changed = True
        if changed:
            self.revision = revision
            self.states[revision] = keys

    def changes(self, after: int) -> list[tuple[int, bytes, Entry | None]]:
        told = []
        for revision in range(after + 1, self.revision + 1):
            before, now = self.states[revision - 1], self.states[revision]
            told += [
                (revision, key, now.get(key))
                for key in sorted(before.keys() | now.keys())
                if before.get(key) != now.get(key)
            ]
        return told


@settings(max_examples=120, deadline=None)
@given(steps=steps)
def test_every_revision_is_as_it_was(tmp_path_factory, steps) -> None:
    path = str(tmp_path_factory.mktemp("mvcc") / "db")
    asyncio.run(_follow(path, steps))


async def _follow(path: str, steps: list[Txn | int | str]) -> None:
    model = Model()
    store = await open_store(path, compact_every_seconds=0)
    try:
        for step in steps:
            if step == "reopen":
                await store.close()
                store = await open_store(path, compact_every_seconds=0)
            elif isinstance(step, Txn):
                check(step)
                model.apply(step)
                _, revision = await store.keyspace.txn(step)
                assert revision == model.revision
            elif isinstance(step, int) and model.compacted < model.revision - step:
                model.compacted = model.revision - step
                await store.compact(model.compacted)
            await _compare(store.keyspace, model)
    finally:
        await store.close()


async def _compare(keyspace: Keyspace, model: Model) -> None:
    assert keyspace.revisions.revision == keyspace.revisions.tip == model.revision
    for revision, keys in model.states.items():
        for span in (Span.ALL, of_prefix(b"a/"), of_request(b"b", b"")):
            expected = [keys[key] for key in sorted(keys) if key in span]
            if revision < model.compacted:
                try:
                    await keyspace.at(span, revision)
                except Compacted:
                    continue
                raise AssertionError(f"revision {revision} should be compacted")
            assert await keyspace.at(span, revision) == expected
    answer, _ = await keyspace.range(Range(b"a", b"b", limit=2))
    expected = [key for key in sorted(model.states[model.revision]) if b"a" <= key < b"b"]
    assert [entry.key for entry in answer.entries] == expected[:2]
    assert (answer.count, answer.more) == (len(expected), len(expected) > 2)
    await _compare_watch(keyspace, model, max(model.compacted - 1, 1))


async def _compare_watch(keyspace: Keyspace, model: Model, after: int) -> None:
    expected = model.changes(after)
    told = []
    stream = keyspace.watch(Span.ALL, after)
    while len(told) < len(expected):
        async with asyncio.timeout(5):
            told += [(each.revision, each.key, each.entry) for each in await anext(stream)]
    await stream.aclose()
    assert [each[0] for each in told] == sorted(each[0] for each in told)
    assert sorted(told, key=_place) == sorted(expected, key=_place)


def _place(change: tuple[int, bytes, Entry | None]) -> tuple[int, bytes]:
    return change[:2]
