"""What counts as the same event."""

from pilothouse.services.runtime.client.events import Note, Reference


def _note(version: str, message: str = "Container started") -> Note:
    about = Reference("Pod", "default", "web", "uid", resource_version=version)
    return Note(about, "Normal", "Started", message)


def test_an_object_stays_the_same_through_its_versions():
    assert len({_note("1"), _note("2")}) == 1
    assert len({_note("1"), _note("1", "Container created")}) == 2
