"""Every service has the same anatomy, and what decides in it does no I/O and reads no clock."""

import ast

import pytest
from kit import house

# What may wait and start tasks beside the edges: it drives what decides and applies it. All else
# in a service decides. A new module decides until it is named here.
DRIVERS = {
    "apiserver": {
        "cache.cache", "cache.watching", "chain.accounts", "objects.collection", "objects.reads",
        "offering", "repairs", "tokenuses", "upkeep", "wiring",
    },
    "controllers": {"manager"},
    "kubelet": {
        "eviction.evictor", "hollow.fleet", "manifests.manifests", "node.registration", "parts",
        "resources.processors", "workers.performer", "workers.pods", "workers.prober",
        "workers.status_writer", "workers.stopping", "workers.worker",
    },
    "scheduler": {"loop"},
    "store": {"hub", "keyspace", "lessor", "writer"},
}  # fmt: skip

# What puts a service's parts together beside its __main__, and so knows its adapters.
WIRING = {"apiserver": {"wiring"}, "controllers": {"manager"},
          "kubelet": {"hollow.__main__", "hollow.fleet"}, "store": {"embedded"}}  # fmt: skip


def inner(source):
    """A module's name within its service."""
    return ".".join(source.place.with_suffix("").parts[2:])


def inside(service):
    """The service's files without its edges."""
    return [
        source
        for source in house.sources()
        if source.place.parts[:2] == ("services", service)
        and len(source.place.parts) > 2
        and source.place.with_suffix("").parts[2] not in house.EDGES
    ]


@pytest.mark.parametrize("service", house.services())
def test_what_decides_is_pure(service):
    wrong = [
        line
        for source in inside(service)
        if inner(source) not in DRIVERS.get(service, set())
        for line in house.impure_imports(source)
    ]
    assert wrong == []


@pytest.mark.parametrize("service", house.services())
def test_what_drives_waits_but_leaves_io_to_the_edges(service):
    wrong = [
        line
        for source in inside(service)
        if inner(source) in DRIVERS.get(service, set())
        for line in house.impure_imports(source)
        if " imports asyncio" not in line
    ]
    assert wrong == []


@pytest.mark.parametrize("service", house.services())
def test_only_edges_and_wiring_know_edges(service):
    wrong = [
        line
        for source in inside(service)
        if inner(source) not in WIRING.get(service, set())
        for line in house.edge_imports(source)
    ]
    assert wrong == []


@pytest.mark.parametrize("service", house.services())
def test_the_exceptions_are_needed(service):
    modules = {inner(source): source for source in inside(service)}
    for name in DRIVERS.get(service, set()):
        assert house.impure_imports(modules[name]), f"{name} is pure: it is no driver"
    for name in WIRING.get(service, set()):
        assert house.edge_imports(modules[name]), f"{name} knows no edge: it is no wiring"


@pytest.mark.parametrize("service", house.services())
def test_a_service_has_its_parts(service):
    place = house.TOP / "services" / service
    for name in ("__init__.py", "__main__.py", "config.py"):
        assert (place / name).is_file(), f"{service} has no {name}"
    for name in ("rpc", "rest", "adapters"):
        assert not (place / f"{name}.py").exists(), f"{name} is a folder, not a file"


@pytest.mark.parametrize("service", house.services())
def test_main_takes_arguments_and_gives_an_exit_code(service):
    tree = ast.parse((house.TOP / "services" / service / "__main__.py").read_text())
    found = [item for item in tree.body if isinstance(item, ast.FunctionDef)]
    signatures = {item.name: ast.unparse(item.args) for item in found}
    # What follows are parts that whoever starts it may hand in, by keyword.
    assert signatures.get("main", "").split(", *, ")[0] == "argv: list[str]"


@pytest.mark.parametrize("service", house.services())
def test_the_config_is_a_frozen_value_parsed_from_flags(service):
    tree = ast.parse((house.TOP / "services" / service / "config.py").read_text())
    classes = {item.name: item for item in tree.body if isinstance(item, ast.ClassDef)}
    assert any("frozen=True" in ast.unparse(item) for item in classes["Config"].decorator_list)
    assert "parse" in {item.name for item in tree.body if isinstance(item, ast.FunctionDef)}


def test_a_room_in_the_lists_above_exists():
    assert DRIVERS.keys() | WIRING.keys() <= set(house.services())


def test_plugins_and_controllers_are_one_rule_a_file():
    """A scheduler plugin: one class, frozen, and short enough to be read at a glance."""
    for source in house.sources():
        if source.place.parts[:3] != ("services", "scheduler", "plugins"):
            continue
        classes = list(source.classes())
        assert len(classes) == (source.place.name != "__init__.py"), source.place
        for class_ in classes:
            assert "frozen=True" in ast.unparse(class_.decorator_list[0])
            assert house.public_methods(class_) <= {"hinders", "refuse", "score"}
