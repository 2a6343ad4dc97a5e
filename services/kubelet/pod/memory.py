"""The kubelet's mutable memory of one pod, and the frozen picture that decisions see."""

from pilothouse.services.kubelet.pod.observed import (
    NO_PROBES,
    WAIT_MAX_SECONDS,
    Health,
    Known,
    Observed,
    Trouble,
)
from pilothouse.services.kubelet.pod.restarts import retry_wait
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources import resizing
from pilothouse.services.machinery.kinds.pods import Resources

RETRY_FIRST_SECONDS = 1.0
RETRY_MAX_SECONDS = 30.0
PULL_RETRY_FIRST_SECONDS = 10.0
PULL_RETRY_MAX_SECONDS = 300.0


class Memory:
    """See :class:`pilothouse.services.kubelet.observed.Known` for what each part means."""

    def __init__(self, restart_wait_max: float = WAIT_MAX_SECONDS) -> None:
        """``restart_wait_max``: seconds that a container waits at most for its next start."""
        self._restart_wait_max = restart_wait_max
        self.volumes_ready = False
        self.images: dict[str, str] = {}
        self.volume_images: dict[str, str] = {}
        """The image's id by the reference that a volume names."""
        self.pulling: set[str] = set()
        self.stopping: dict[str, float] = {}
        self.health: dict[str, Health] = {}
        self.hooking: set[str] = set()
        self.resources = dict[str, Resources]()
        self.verdict = resizing.GRANTED
        self._troubles: dict[str, Trouble] = {}

    def known(self) -> Known:
        """A picture of now."""
        return Known(
            volumes_ready=self.volumes_ready,
            images=frozenset(self.images),
            pulling=frozenset(self.pulling),
            troubles=dict(self._troubles),
            stopping=dict(self.stopping),
            health=dict(self.health),
            hooking=frozenset(self.hooking),
            resources=dict(self.resources),
            refusal=(self.verdict.reason, self.verdict.message),
            restart_wait_max=self._restart_wait_max,
        )

    def trouble(
        self, what: str, reason: str, message: str, now: float, *, is_pull: bool = False
    ) -> Trouble:
        """Remember that ``what`` failed; each failure in a row waits longer."""
        before = self._troubles.get(what)
        first = PULL_RETRY_FIRST_SECONDS if is_pull else RETRY_FIRST_SECONDS
        most = PULL_RETRY_MAX_SECONDS if is_pull else RETRY_MAX_SECONDS
        wait = retry_wait(before.wait_seconds if before else 0.0, first, most)
        made = Trouble(reason, message, now + wait, wait)
        self._troubles[what] = made
        return made

    def reword(self, what: str, reason: str, message: str) -> None:
        """Say the same trouble in other words, its wait unchanged."""
        trouble = self._troubles[what]
        self._troubles[what] = Trouble(reason, message, trouble.until, trouble.wait_seconds)

    def trouble_with(self, what: str) -> Trouble | None:
        """Why ``what`` failed last; None when it did not."""
        return self._troubles.get(what)

    def well(self, what: str) -> None:
        """``what`` has worked."""
        self._troubles.pop(what, None)

    def note_health(self, id_: str, **parts: bool | str | int | None) -> None:
        """Change what probes found of one container."""
        old = self.health.get(id_, NO_PROBES)
        values = {name: getattr(old, name) for name in Health.__slots__} | parts
        self.health[id_] = Health(**values)

    def adopt(self, pod: Pod, observed: Observed) -> None:
        """Recall what is in force in containers that an earlier kubelet started."""
        for spec in (*pod.spec.init_containers, *pod.spec.containers):
            current = observed.current(spec.name)
            if current is None or current.state != "running" or current.id in self.resources:
                continue
            found = resizing.recorded(pod, spec.name, current.id)
            self.resources[current.id] = spec.resources if found is None else found

    def settle(self, observed: Observed) -> None:
        """Forget what was remembered of containers that no longer run."""
        alive = {container.id for container in observed.alive()}
        for id_ in [id_ for id_ in self.stopping if id_ not in alive]:
            del self.stopping[id_]
        for id_ in [id_ for id_ in self.resources if id_ not in alive]:
            del self.resources[id_]
        for id_ in [id_ for id_ in self.health if id_ not in alive]:
            del self.health[id_]
