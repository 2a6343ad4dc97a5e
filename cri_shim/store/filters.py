"""Which records a list is about."""

from collections.abc import Iterable, Mapping

from pilothouse.cri_shim.records import ContainerRecord, SandboxRecord


def sandboxes(
    records: Iterable[SandboxRecord], id_: str, state: int | None, labels: Mapping[str, str]
) -> list[SandboxRecord]:
    """An id may be the beginning of one; None and nothing select all."""
    return [
        item
        for item in records
        if item.id.startswith(id_)
        and state in {None, item.state}
        and _carries(item.config.labels, labels)
    ]


def containers(
    records: Iterable[ContainerRecord],
    ids: tuple[str, str],
    state: int | None,
    labels: Mapping[str, str],
) -> list[ContainerRecord]:
    """``ids``: the container's and its sandbox's, or beginnings of them."""
    id_, sandbox_id = ids
    return [
        item
        for item in records
        if item.id.startswith(id_)
        and item.sandbox_id.startswith(sandbox_id)
        and state in {None, item.state}
        and _carries(item.config.labels, labels)
    ]


def _carries(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())
