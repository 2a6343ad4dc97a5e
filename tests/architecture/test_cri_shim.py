"""The CRI server has a service's anatomy: what decides in it does no I/O, little of it waits."""

from kit import house

# What waits and starts tasks: it drives what decides and applies it.
DRIVERS = {
    "concurrency", "containers.containers", "images.images", "images.pulling", "logs.containers",
    "recovery", "sandboxes.sandboxes", "store.events", "store.records", "streaming.commands",
    "streaming.forwarding",
}  # fmt: skip
# I/O in the room that it is about: a registry's HTTP, FIFOs and files of logs, clients' streams.
EDGES_INSIDE = {
    "images.registry", "logs.fifos", "logs.files", "streaming.server", "streaming.sessions",
}  # fmt: skip


def inner(source):
    """A module's name within the server."""
    return ".".join(source.place.with_suffix("").parts[1:])


def inside():
    """Its files by their names, without the edges."""
    return {
        inner(source): source
        for source in house.sources()
        if source.place.parts[0] == "cri_shim"
        and source.place.with_suffix("").parts[1] not in house.EDGES
    }


def test_what_decides_is_pure():
    wrong = [
        line
        for name, source in inside().items()
        if name not in DRIVERS | EDGES_INSIDE
        for line in house.impure_imports(source)
    ]
    assert wrong == []


def test_what_drives_waits_but_leaves_io_to_the_edges():
    found = inside()
    wrong = [line for name in DRIVERS for line in house.impure_imports(found[name])]
    assert [line for line in wrong if " imports asyncio" not in line] == []


def test_only_its_main_and_its_edges_know_adapters():
    wrong = [
        f"{name} imports {imported}"
        for name, source in inside().items()
        for imported in source.imports()
        if imported.startswith(("pilothouse.cri_shim.adapters", "pilothouse.cri_shim.rpc"))
    ]
    assert wrong == []


def test_the_exceptions_are_needed():
    found = inside()
    for name in DRIVERS | EDGES_INSIDE:
        assert house.impure_imports(found[name]), f"{name} is pure: it is no exception"


def test_it_has_its_parts_and_a_short_main():
    place = house.TOP / "cri_shim"
    for name in ("__init__.py", "__main__.py", "config.py", "ports.py"):
        assert (place / name).is_file(), f"it has no {name}"
    lines = (place / "__main__.py").read_text().splitlines()
    assert len(lines) <= house.MAIN_LINES_MAX + 20
