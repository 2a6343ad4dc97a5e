"""Whose credentials let a pod use an image that is at hand."""

from pathlib import Path

import pytest

from pilothouse.services.kubelet.adapters.images.records import PulledRecords
from pilothouse.services.kubelet.images import access
from pilothouse.services.kubelet.images.access import Policy, Secret
from pilothouse.services.kubelet.images.keyring import Entry
from pilothouse.services.kubelet.images.used import ImageAccess
from pilothouse.services.kubelet.ports import Credentials, Image
from pilothouse.services.machinery.images import parse
from pilothouse.services.runtime.clock import SystemClock

NAME = parse("x.io/team/app:v1")
IMAGE = Image("sha256:1", names=(str(NAME), "y.io/other:v1"))


def _entry(uid: str, word: str = "p") -> Entry:
    return Entry(Credentials("u", word), Secret(uid, "default", uid, f"hash-of-{word}"))


@pytest.fixture
def records(tmp_path: Path) -> PulledRecords:
    return PulledRecords(tmp_path)


def _access(records: PulledRecords | None, policy: str = access.NEVER_PRELOADED) -> ImageAccess:
    return ImageAccess(records, Policy(policy, ("x.io/team/*",)), SystemClock())


def _pull(records: PulledRecords, who: Entry | None) -> None:
    with _access(records).pulling(NAME) as tell:
        assert records.is_intended(str(NAME))
        tell(IMAGE, who)
    assert not records.is_intended(str(NAME))


def test_what_was_there_before_is_for_all(records: PulledRecords) -> None:
    assert _access(records).may_use(NAME, IMAGE, [])
    assert _access(records, access.NEVER).may_use(NAME, IMAGE, [])
    assert _access(records, access.NEVER_ALLOWLISTED).may_use(NAME, IMAGE, [])
    other = parse("y.io/other:v1")
    assert not _access(records, access.NEVER_ALLOWLISTED).may_use(other, IMAGE, [])
    assert not _access(records, access.ALWAYS).may_use(NAME, IMAGE, [])


def test_who_pulled_it_as_nobody_pulled_it_for_all(records: PulledRecords) -> None:
    _pull(records, _entry("a"))
    _pull(records, None)
    _pull(records, _entry("a"))
    assert _access(records).may_use(NAME, IMAGE, [])


def test_the_same_secret_or_the_same_content_will_do(records: PulledRecords) -> None:
    _pull(records, _entry("a"))
    may_use = _access(records).may_use
    assert may_use(NAME, IMAGE, [_entry("a", "renewed")])
    assert may_use(NAME, IMAGE, [_entry("b")])
    assert not may_use(NAME, IMAGE, [_entry("b", "other")])
    assert not may_use(NAME, IMAGE, [])
    assert _access(None).may_use(NAME, IMAGE, [])
    _pull(records, _entry("b", "other"))
    assert may_use(NAME, IMAGE, [_entry("c", "other")])
    assert may_use(NAME, IMAGE, [_entry("a")])


def test_other_names_of_the_same_image(records: PulledRecords) -> None:
    _pull(records, _entry("a"))
    may_use = _access(records).may_use
    assert may_use(parse("y.io/other:v1"), IMAGE, []), "it came without the kubelet"
    assert not may_use(parse("sha256:1"), IMAGE, []), "an id is no way around"
    assert not may_use(parse("x.io/team/app:v2"), IMAGE, [])


def test_a_pull_that_nobody_lived_to_tell_of(records: PulledRecords) -> None:
    records.intend(str(NAME))
    assert not _access(records).may_use(NAME, IMAGE, [])


def test_records_are_read_again_and_broken_ones_are_none(
    records: PulledRecords, tmp_path: Path
) -> None:
    _pull(records, _entry("a"))
    (path,) = (tmp_path / "image_manager" / "pulled").iterdir()
    found = PulledRecords(tmp_path).find("sha256:1")
    assert found.credential_mapping["x.io/team/app"].kubernetes_secrets == (_entry("a").secret,)
    assert b'"kind":"ImagePulledRecord"' in path.read_bytes()
    path.write_text("{")
    assert records.find("sha256:1") is None


def test_only_so_many_secrets_are_kept(records: PulledRecords) -> None:
    for number in range(access.SECRETS_MAX + 5):
        _pull(records, _entry(f"s{number}", f"p{number}"))
    kept = records.find("sha256:1").credential_mapping["x.io/team/app"].kubernetes_secrets
    assert len(kept) == access.SECRETS_MAX
    assert kept[-1].name == f"s{access.SECRETS_MAX + 4}"
