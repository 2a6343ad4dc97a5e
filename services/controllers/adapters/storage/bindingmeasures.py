"""How many claims and volumes are bound, under Kubernetes' names."""

from collections import Counter
from collections.abc import Iterable, Iterator

from pilothouse.services.machinery.kinds import binding
from pilothouse.services.machinery.kinds.volumes import Claim, PersistentVolume
from pilothouse.services.runtime.exposition import Family

_BOUND = "Bound"


def families(claims: Iterable[Claim], volumes: Iterable[PersistentVolume]) -> Iterator[Family]:
    """Counted when it is asked for."""
    held: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    total: Counter[tuple[str, str]] = Counter()
    for volume in volumes:
        held[volume.status.phase == _BOUND][binding.class_of(volume)] += 1
        total[plugin(volume), volume.spec.volume_mode] += 1
    asked: dict[bool, Counter[tuple[str, str, str]]] = {True: Counter(), False: Counter()}
    for claim in claims:
        attributes = claim.spec.volume_attributes_class_name
        key = claim.metadata.namespace, binding.class_of(claim), attributes
        asked[claim.status.phase == _BOUND][key] += 1
    for is_bound, word in ((True, "bound"), (False, "unbound")):
        name = f"pv_collector_{word}_pv_count"
        counted = Family(name, "gauge", f"Volumes that are {word}, by class.")
        for storage_class, count in sorted(held[is_bound].items()):
            counted.add(count, ("storage_class", storage_class))
        yield counted
        name = f"pv_collector_{word}_pvc_count"
        counted = Family(name, "gauge", f"Claims that are {word}, by namespace and class.")
        for (namespace, storage_class, attributes), count in sorted(asked[is_bound].items()):
            labels = (("namespace", namespace), ("storage_class", storage_class))
            counted.add(count, *labels, ("volume_attributes_class", attributes))
        yield counted
    every = Family("pv_collector_total_pv_count", "gauge", "Volumes, by what they are.")
    for (name, mode), count in sorted(total.items()):
        every.add(count, ("plugin_name", name), ("volume_mode", mode))
    yield every


def plugin(volume: PersistentVolume) -> str:
    """What Kubernetes calls the part that knows this kind of volume."""
    spec = volume.spec
    if spec.csi is not None:
        return f"kubernetes.io/csi:{spec.csi.driver}"
    if spec.host_path is not None:
        return "kubernetes.io/host-path"
    if spec.local is not None:
        return "kubernetes.io/local-volume"
    return "kubernetes.io/nfs" if spec.nfs is not None else "N/A"
