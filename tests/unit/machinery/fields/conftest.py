"""One object, and people who write it."""

import msgspec
import pytest
from kit.things import THING

from pilothouse.services.machinery.fields import managers, validation
from pilothouse.services.machinery.fields.applying import applied
from pilothouse.services.machinery.fields.managers import manager
from pilothouse.services.machinery.fields.ownership import Write, created, updated


class OneVersion:
    """The kind in v1, and in v2 which is the same."""

    schemas_change = True

    def __init__(self, thing):
        self.thing = thing

    def type(self, version):
        return self.thing if version in {"example.com/v1", "example.com/v2"} else None

    def convert(self, document, version):
        return {**document, "apiVersion": version}


class World:
    """One object, its managers, and people who write it."""

    def __init__(self, thing):
        self.thing = thing
        self.versions = OneVersion(thing)
        self.live = {}
        self.managed = {}
        self.clock = 0

    def write(self, name, operation, version):
        self.clock += 1
        time = f"2026-01-01T00:00:{self.clock:02d}Z"
        return Write(manager(name, operation, version, ""), version, {}, time)

    def apply(self, name, spec, *, force=False, version="example.com/v1"):
        configuration = {"apiVersion": version, "kind": "Thing", "spec": spec}
        assert validation.errors(self.thing, configuration) == []
        write = self.write(name, "Apply", version)
        live = {**self.live, "apiVersion": version} if self.live else {}
        self.live, self.managed = applied(
            self.versions, self.managed, live, configuration, write, force=force
        )
        return self

    def update(self, name, spec, version="example.com/v1"):
        new = {"apiVersion": version, "kind": "Thing", "spec": spec}
        write = self.write(name, "Update", version)
        if not self.live:
            self.managed = created(self.thing, new, write)
        else:
            self.managed = updated(self.versions, self.managed, self.live, new, write)
        self.live = new
        return self

    @property
    def spec(self):
        return self.live.get("spec")

    def owned(self, name):
        """The sets of a manager, by operation."""
        return {
            who.operation: owned.fields for who, owned in self.managed.items() if who.name == name
        }

    def entries(self):
        return msgspec.json.decode(msgspec.json.encode(managers.encoded(self.managed)))


@pytest.fixture
def world():
    return World(THING)
