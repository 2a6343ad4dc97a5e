"""The volume behind a pod's claim: where it is, and why a pod has to wait for it."""

import os
import stat

import msgspec
import pytest

from pilothouse.services.kubelet.adapters.volumes import owning
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.volumes import claimed
from pilothouse.services.kubelet.volumes.sources import ClaimSource, EphemeralSource, Volume
from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.machinery.kinds.volumes import PersistentVolume
from pilothouse.services.machinery.objects import Metadata, OwnerReference

CLAIM = Metadata(name="data", namespace="ns", uid="u1")
NAMED = Volume(name="v", persistent_volume_claim=ClaimSource(claim_name="data"))
OWN = Volume(name="v", ephemeral=EphemeralSource())
GROUP = 4321


def pod():
    return msgspec.convert({"metadata": {"name": "p", "namespace": "ns", "uid": "pod"}}, Pod)


def held(uid="u1", **source):
    spec = {"claimRef": {"namespace": "ns", "name": "data", "uid": uid}, **source}
    return msgspec.convert({"metadata": {"name": "pv"}, "spec": spec}, PersistentVolume)


def test_it_is_where_the_volume_says():
    place = claimed.place(NAMED, CLAIM, held(hostPath={"path": "/mnt", "type": "Directory"}))
    assert (place.source.path, place.source.type) == ("/mnt", "Directory")
    assert not place.owned
    place = claimed.place(NAMED, CLAIM, held(local={"path": "/disk"}))
    assert (place.source.path, place.owned) == ("/disk", True)
    read_only = Volume(
        name="v", persistent_volume_claim=ClaimSource(claim_name="data", read_only=True)
    )
    assert claimed.place(read_only, CLAIM, held(hostPath={"path": "/mnt"})).read_only


@pytest.mark.parametrize(
    "volume",
    [
        held("other", hostPath={"path": "/mnt"}),
        held(local={"path": "/dev/x"}, volumeMode="Block"),
        held(nfs={}),
    ],
)
def test_what_is_anothers_or_is_not_had_here_is_refused(volume):
    with pytest.raises(BadRequest, match="PV pv"):
        claimed.place(NAMED, CLAIM, volume)


def test_a_claim_must_be_bound_and_one_for_a_pod_the_pods():
    claimed.check_bound(pod(), NAMED, CLAIM, ("Bound", "pv"))
    with pytest.raises(BadRequest, match="non-bound phase"):
        claimed.check_bound(pod(), NAMED, CLAIM, ("Pending", ""))
    assert claimed.claim_name(pod(), OWN) == "p-v"
    with pytest.raises(BadRequest, match="pod is not owner"):
        claimed.check_bound(pod(), OWN, CLAIM, ("Bound", "pv"))
    owner = OwnerReference(api_version="v1", kind="Pod", name="p", uid="pod", controller=True)
    own = msgspec.structs.replace(CLAIM, owner_references=(owner,))
    claimed.check_bound(pod(), OWN, own, ("Bound", "pv"))


def test_files_are_given_to_the_group_and_links_are_not_followed(tmp_path):
    volume, outside = tmp_path / "volume", tmp_path / "outside"
    (volume / "sub").mkdir(parents=True)
    (volume / "sub" / "file").write_text("x")
    outside.write_text("x")
    before = outside.stat()
    (volume / "link").symlink_to(outside)
    owning.give(volume, GROUP, "Always")
    for path in (volume, volume / "sub", volume / "sub" / "file"):
        assert path.stat().st_gid == GROUP
    assert stat.S_IMODE(volume.stat().st_mode) & 0o2070 == 0o2070
    after = outside.stat()
    assert (after.st_gid, after.st_mode) == (before.st_gid, before.st_mode)


def test_a_volume_that_is_given_already_is_left_alone_if_so_told(tmp_path):
    owning.give(tmp_path, GROUP, "Always")
    late = tmp_path / "late"
    late.write_text("x")
    os.chown(late, -1, 0)
    owning.give(tmp_path, GROUP, "OnRootMismatch")
    assert late.stat().st_gid == 0
    owning.give(tmp_path, GROUP, "Always")
    assert late.stat().st_gid == GROUP
