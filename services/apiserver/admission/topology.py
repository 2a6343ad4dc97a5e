"""PodTopologyLabels: a pod that is bound carries where its node stands."""

import msgspec

from pilothouse.services.apiserver.admission.request import Document, Live
from pilothouse.services.machinery.objects import Key, Object

LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")
_PREFIX = b'"topology.kubernetes.io/'
_decoder = msgspec.json.Decoder(Object)


def place(live: Live, binding: Document) -> None:
    """Write zone and region of the node into the labels of the Binding, which the pod gets."""
    name = (binding.get("target") or {}).get("name", "")
    stored = live.find("", "nodes", Key("", name)) if name else None
    # Most nodes of small clusters stand nowhere in particular.
    if stored is None or _PREFIX not in stored.json:
        return
    of_node = _decoder.decode(stored.json).metadata.labels
    found = {key: of_node[key] for key in LABELS if key in of_node}
    if found:
        metadata = binding.setdefault("metadata", {})
        metadata["labels"] = {**(metadata.get("labels") or {}), **found}
