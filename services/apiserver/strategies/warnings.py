"""What a writer is told although it is allowed: fields of old, and what will surprise."""

import ipaddress
from collections.abc import Callable, Iterable
from typing import TypeAlias

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.strategies.network.services import headless
from pilothouse.services.apiserver.strategies.pod import pod_warnings
from pilothouse.services.apiserver.strategies.pod.pod_warnings import NODE_LABELS, warn_of_term
from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names

Warn: TypeAlias = Callable[[Body, Body | None], list[str]]
"""Takes the new object, and the old one when there is one."""

_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_BETA_CLASS_OLD = 'deprecated since v1.8; use "storageClassName" attribute instead'
_HINTS = "service.kubernetes.io/topology-aware-hints"
_MODE = "service.kubernetes.io/topology-mode"
_INGRESS_CLASS = "kubernetes.io/ingress.class"
_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
_MOUNTABLE_OLD = (
    "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
)
_RECYCLE = (
    "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic "
    "provisioning."
)
_INDEXES_MANY, _AT_ONCE_MANY = 100_000, 10_000
_MANY = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than "
    "10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
)
_KEEPS_ALL = "a negative value retains all historical revisions; a value >= 0 is recommended"


def _label_wanted(body: Body, whose: str) -> list[str]:
    name = body["metadata"].get("name", "")
    wrong = names.label(name)
    if not wrong:
        return []
    shown = "surprising behavior; a DNS label is recommended"
    return [f"metadata.name: this is used in {whose}, which can result in {shown}: [{wrong}]"]


def _annotations(body: Body) -> Body:
    found: Body = body["metadata"].get("annotations") or {}
    return found


def _pod(new: Body, old: Body | None) -> list[str]:
    if old is not None:
        # Pods are changed by programs, which nobody warns.
        return []
    told = _label_wanted(new, "the Pod's hostname")
    return told + pod_warnings.warn(new["metadata"], new.get("spec") or {})


def _template(template: Body, path: str) -> list[str]:
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    return pod_warnings.warn(metadata, spec, f"{path}.")


def _same(new: Body, old: Body | None) -> bool:
    return old is not None and new.get("spec") == old.get("spec")


def _owner(new: Body, old: Body | None) -> list[str]:
    if _same(new, old):
        return []
    told = _label_wanted(new, "Pod names and hostnames") if old is None else []
    return told + _template((new.get("spec") or {}).get("template") or {}, "spec.template")


def _daemon_set(new: Body, old: Body | None) -> list[str]:
    if _same(new, old):
        return []
    return _template((new.get("spec") or {}).get("template") or {}, "spec.template")


def _stateful_set(new: Body, old: Body | None) -> list[str]:
    spec = new.get("spec") or {}
    told = _daemon_set(new, old)
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        path = f"spec.volumeClaimTemplates[{index}]" + ("" if old is None else ".Spec")
        told += pod_warnings.warn_of_claim(claim.get("spec") or {}, path)
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        told.append(f"spec.revisionHistoryLimit: {_KEEPS_ALL}")
    return told


def _job_spec(spec: Body, path: str) -> list[str]:
    many = (spec.get("completions") or 0) > _INDEXES_MANY
    many = many and (spec.get("parallelism") or 0) > _AT_ONCE_MANY
    told = [f"{path}: {_MANY}"] if many and spec.get("completionMode") == "Indexed" else []
    return told + _template(spec.get("template") or {}, f"{path}.template")


def _job(new: Body, old: Body | None) -> list[str]:
    if _same(new, old):
        return []
    told = _label_wanted(new, "Pod names and hostnames") if old is None else []
    return told + _job_spec(new.get("spec") or {}, "spec")


def _cron_job(new: Body, old: Body | None) -> list[str]:
    if _same(new, old):
        return []
    told = _label_wanted(new, "Pod names and hostnames") if old is None else []
    inner = ((new.get("spec") or {}).get("jobTemplate") or {}).get("spec") or {}
    return told + _job_spec(inner, "spec.jobTemplate.spec")


def _pod_template(new: Body, _old: Body | None) -> list[str]:
    return _template(new.get("template") or {}, "template")


def _service(new: Body, _old: Body | None) -> list[str]:
    spec = new.get("spec") or {}
    kind, outside = spec.get("type", ""), spec.get("externalIPs") or ()
    alone = kind == "ClusterIP" and headless(spec)
    told = []
    if _HINTS in _annotations(new):
        told.append(f"annotation {_HINTS} is deprecated, please use {_MODE} instead")
    if alone:
        ignored = (
            ("loadBalancerIP", spec.get("loadBalancerIP")), ("externalIPs", outside),
            ("SessionAffinity", spec.get("sessionAffinity", "None") != "None"),
        )  # fmt: skip
        told += [
            f"spec.{field} is ignored for headless services" for field, set_ in ignored if set_
        ]
    told += _addresses(spec.get("clusterIPs") or () if not alone else (), "spec.clusterIPs[{}]")
    told += _addresses(outside, "spec.externalIPs[{}]")
    if outside and not alone and kind != "ExternalName":
        detail = "is deprecated and may no longer be implemented in some clusters"
        told.append(f"spec.externalIPs {detail}")
    if spec.get("loadBalancerIP"):
        told += _addresses([spec["loadBalancerIP"]], "spec.loadBalancerIP")
    told += _networks(
        spec.get("loadBalancerSourceRanges") or (), "spec.loadBalancerSourceRanges[{}]"
    )
    if kind == "ExternalName" and outside:
        told.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if kind != "ExternalName" and spec.get("externalName"):
        told.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        detail = '"PreferClose" is deprecated; use "PreferSameZone"'
        told.append(f"spec.trafficDistribution: {detail}")
    return told


def _addresses(values: Iterable[str], path: str) -> list[str]:
    """IPv6 addresses that could be written shorter; ``path`` takes the index."""
    told = []
    for index, value in enumerate(values):
        try:
            address = str(ipaddress.ip_address(value))
        except ValueError:
            continue
        if address != value:
            use = f'should be in RFC 5952 canonical format ("{address}")'
            told.append(f'{path.format(index)}: IPv6 address "{value}" {use}')
    return told


def _networks(values: Iterable[str], path: str) -> list[str]:
    """The same of networks."""
    told = []
    for index, value in enumerate(values):
        try:
            network = str(ipaddress.ip_network(value))
        except ValueError:
            continue
        if ":" in value and network != value:
            use = f'should be in RFC 5952 canonical format ("{network}")'
            told.append(f'{path.format(index)}: IPv6 CIDR value "{value}" {use}')
    return told


def _ingress(new: Body, _old: Body | None) -> list[str]:
    named = (new.get("spec") or {}).get("ingressClassName")
    if _INGRESS_CLASS not in _annotations(new) or named is not None:
        return []
    use = "please use 'spec.ingressClassName' instead"
    return [f'annotation "{_INGRESS_CLASS}" is deprecated, {use}']


def _network_policy(new: Body, _old: Body | None) -> list[str]:
    spec = new.get("spec") or {}
    told = []
    for member, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(member) or ()):
            for number, peer in enumerate(rule.get(peers) or ()):
                block = peer.get("ipBlock") or {}
                where = f"spec.{member}[{index}].{peers}[{number}].ipBlock"
                told += _networks([block.get("cidr", "")], f"{where}.cidr")
                told += _networks(block.get("except") or (), f"{where}.except[{{}}]")
    return told


def _endpoint_slice(new: Body, _old: Body | None) -> list[str]:
    if new.get("addressType") == "FQDN":
        return []
    return [
        text
        for index, endpoint in enumerate(new.get("endpoints") or ())
        for text in _addresses(
            endpoint.get("addresses") or (), f"endpoints[{index}].addresses[{{}}]"
        )
    ]


def _account(new: Body, old: Body | None) -> list[str]:
    if _MOUNTABLE not in _annotations(new) or (old is not None and _MOUNTABLE in _annotations(old)):
        return []
    return [f"metadata.annotations[{_MOUNTABLE}]: {_MOUNTABLE_OLD}"]


def _beta_class(body: Body) -> list[str]:
    if _BETA_CLASS not in _annotations(body):
        return []
    return [f"metadata.annotations[{_BETA_CLASS}]: {_BETA_CLASS_OLD}"]


def _volume(new: Body, _old: Body | None) -> list[str]:
    spec = new.get("spec") or {}
    told = _beta_class(new)
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        told.append(f"spec.persistentVolumeReclaimPolicy: {_RECYCLE}")
    required = (spec.get("nodeAffinity") or {}).get("required") or {}
    for index, term in enumerate(required.get("nodeSelectorTerms") or ()):
        told += warn_of_term(term, f"spec.nodeAffinity.required.nodeSelectorTerms[{index}]")
    shown = pod_warnings.VOLUMES_SHOWN
    return told + [
        f"spec.{shown.get(name, name)}: {text}"
        for name, text in pod_warnings.VOLUMES.items()
        if spec.get(name) is not None
    ]


def _claim(new: Body, _old: Body | None) -> list[str]:
    return _beta_class(new) + pod_warnings.warn_of_claim(new.get("spec") or {}, "spec")


def _storage_class(new: Body, _old: Body | None) -> list[str]:
    path = "allowedTopologies[{}].matchLabelExpressions[{}].key"
    return [
        f"{path.format(index, number)}: {item['key']} is {NODE_LABELS[item['key']]}"
        for index, term in enumerate(new.get("allowedTopologies") or ())
        for number, item in enumerate(term.get("matchLabelExpressions") or ())
        if item.get("key") in NODE_LABELS
    ]


def _runtime_class(new: Body, _old: Body | None) -> list[str]:
    selector = (new.get("scheduling") or {}).get("nodeSelector") or {}
    return [
        f"scheduling.nodeSelector: {text}" for key, text in NODE_LABELS.items() if key in selector
    ]


def _node(new: Body, _old: Body | None) -> list[str]:
    spec = new.get("spec") or {}
    told = []
    if spec.get("configSource") is not None:
        told.append("spec.configSource: the feature is removed")
    if spec.get("externalID"):
        told.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    return told


_BY_KIND: dict[tuple[str, str], Warn] = {
    ("", "Pod"): _pod,
    ("", "PodTemplate"): _pod_template,
    ("", "ReplicationController"): _owner,
    ("apps", "ReplicaSet"): _owner,
    ("apps", "Deployment"): _owner,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
    ("", "Service"): _service,
    ("", "ServiceAccount"): _account,
    ("", "PersistentVolume"): _volume,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Node"): _node,
    ("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("networking.k8s.io", "NetworkPolicy"): _network_policy,
    ("node.k8s.io", "RuntimeClass"): _runtime_class,
    ("storage.k8s.io", "StorageClass"): _storage_class,
}


def of(kind: Kind, new: Body, old: Body | None = None) -> list[str]:
    """What to tell of a valid object before it is stored."""
    found = _BY_KIND.get((kind.group, kind.kind)) if kind.custom is None else None
    return found(new, old) if found else []
