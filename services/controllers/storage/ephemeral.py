"""
Ephemeral volumes: a pod that asks for a claim of its own gets one, which goes when the pod does.

Reads   Pod, PersistentVolumeClaim
Writes  PersistentVolumeClaim (create, owned by the pod)
Again   never: a claim in the way is woken by when it goes
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key, Viewed, controller_of
from pilothouse.services.runtime.control.loop import DONE, Result


@dataclass(frozen=True, slots=True)
class Birth:
    """A claim to be made of these bytes."""

    volume: str
    name: str
    template: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Plan:
    """``say``: what is in the way."""

    create: tuple[Birth, ...] = ()
    say: tuple[str, ...] = ()


def plan(pod: Pod, claims: Mapping[str, Viewed]) -> Plan:
    """``claims``: those that there are of the pod's, by name."""
    if pod.metadata.deleting or pods.is_terminal(pod):
        return Plan()
    create, say = [], []
    for volume in pod.spec.volumes:
        if volume.ephemeral is None:
            continue
        name = f"{pod.metadata.name}-{volume.name}"
        found = claims.get(name)
        if found is None:
            create.append(Birth(volume.name, name, volume.ephemeral.volume_claim_template))
            continue
        owner = controller_of(found.metadata)
        if owner is None or owner.uid != pod.metadata.uid:
            text = f"PVC {found.metadata.key} was not created for pod {pod.metadata.key}"
            say.append(f"ephemeral volume {volume.name}: {text} (pod is not owner)")
    return Plan(tuple(create), tuple(say))


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> Pod | None: ...
    def claims(self, pod: Pod) -> Mapping[str, Viewed]:
        """Those of the names that its volumes ask for."""

    def say(self, pod: Pod, text: str) -> None: ...
    async def create(self, pod: Pod, birth: Birth) -> None: ...


class EphemeralVolumeController:
    """Makes claims for pods."""

    name = "ephemeral-volume"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        pod = self._cluster.find(key)
        if pod is None:
            return DONE
        todo = plan(pod, self._cluster.claims(pod))
        for text in todo.say:
            self._cluster.say(pod, text)
        for birth in todo.create:
            await self._cluster.create(pod, birth)
        return DONE
