"""Every kind that the syllabus walks through can be applied, and applied again for nothing."""

import copy
from pathlib import Path

from kit.registry import read

from pilothouse.services.apiserver.requests import Patch, Target, WriteOptions
from pilothouse.services.apiserver.rest import bodies

KINDS = Path(__file__).parents[2] / "conformance" / "kinds.yaml"
APPLIER = WriteOptions(field_manager="applier")
OTHER = WriteOptions(field_manager="other")
ADDRESS = "10.9.8.7"
# Their manifests hold requests for certificates that somebody has to make.
_SIGNED = {"certificatesigningrequests", "podcertificaterequests", "clustertrustbundles"}


def given():
    text = KINDS.read_text().replace("NAMESPACE", "default").encode()
    found = bodies.decode(text, "yaml", "Ignore").value
    return [each for each in found if each["plural"] not in _SIGNED]


async def test_applied_twice(client):
    """One server for all kinds, which takes most of the time."""
    for number, kind in enumerate(given()):
        await apply_twice(client, kind, f"walked-{number}")


async def apply_twice(client, kind, name):
    group_version = kind["api"].split("/", 2)[2]
    group, _, version = group_version.rpartition("/")
    served = client.registry.parts.catalog.lookup(group, version, kind["plural"])
    manifest = kind["manifest"]
    metadata = {"name": ADDRESS if kind["plural"] == "ipaddresses" else name}
    metadata |= manifest.get("metadata") or {}
    applied = {**manifest, "apiVersion": group_version, "kind": served.kind, "metadata": metadata}
    namespace = "default" if served.namespaced else ""
    place = Target(group, version, kind["plural"], namespace, metadata["name"])

    async def apply():
        patch = Patch("apply", copy.deepcopy(applied))
        return await client.registry.patch(client.user, place, patch, APPLIER)

    made = await apply()
    assert made.created, place
    owners = {entry["manager"] for entry in read(made.object)["metadata"].get("managedFields", ())}
    # An empty list, which is all that a CSINode says, can not be owned.
    assert owners == (set() if kind["plural"] == "csinodes" else {"applier"})
    again = await apply()
    assert not again.created
    assert read(again.object) == read(made.object)
    # Nor does it say anything new to put back what was read.
    put = await client.registry.update(client.user, place, read(again.object), OTHER)
    assert read(put.object) == read(made.object)
