"""What one node knows of confining pods: its rules, its runtime's abilities, ids given away."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from pilothouse.services.kubelet.pod.configs import Mount
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.ports import HandlerState, RuntimeState
from pilothouse.services.kubelet.resources.admission import Rejection
from pilothouse.services.kubelet.security import rules as confining
from pilothouse.services.kubelet.security.ranges import IdRange
from pilothouse.services.kubelet.security.rules import Rules
from pilothouse.services.machinery.errors import BadRequest

_UNABLE = HandlerState("")


class Ranges(Protocol):
    """Ids given to pods; remembered as long as the pod's directory is there."""

    def of(self, uid: str) -> IdRange | None:
        """What the pod has, or gets now; None when all are given away."""


class NoRanges:
    """A node that has none to give."""

    def of(self, uid: str) -> IdRange | None:
        return None


def _nothing() -> RuntimeState | None:
    return None


class Confinement:
    """``state``: what the runtime said of itself last, if anything."""

    def __init__(
        self,
        rules: Rules | None = None,
        state: Callable[[], RuntimeState | None] = _nothing,
        ranges: Ranges | None = None,
    ) -> None:
        self.rules = rules or Rules()
        self._state = state
        self._ranges = ranges or NoRanges()

    def judge(self, pod: Pod) -> Rejection | None:
        """Why the pod may not run here."""
        state = self._state()
        strict = state is not None and state.strict_groups is True
        return confining.judge(pod, self.rules, strict_groups=strict)

    def handler(self, name: str) -> HandlerState:
        """What a handler of the runtime can do; nothing, when it does not say."""
        state = self._state()
        handlers = () if state is None else state.handlers
        return next((item for item in handlers if item.name == name), _UNABLE)

    def ids(self, pod: Pod, handler: str) -> IdRange | None:
        """The ids of a pod with a user namespace of its own; BadRequest where it can have none."""
        if pod.spec.host_users:
            return None
        if not self.handler(handler).user_namespaces:
            with_handler = f" handler {handler}" if handler else ""
            raise BadRequest(
                f"can't set `spec.hostUsers: false`, runtime{with_handler} does not support user "
                "namespaces"
            )
        found = self._ranges.of(pod.uid)
        if found is None:
            raise BadRequest("could not find an empty slot to allocate a user namespace")
        return found

    def settle(self, mounts: Sequence[Mount], handler: str) -> list[Mount]:
        """Mounts as the runtime can make them; BadRequest where that is not what is asked for."""
        able = self.handler(handler).recursive_read_only
        made = []
        for mount in mounts:
            if mount.recursive_read_only == "Enabled" and not able:
                raise BadRequest(
                    f"mount {mount.container_path!r}: recursive read-only is not supported by the "
                    "runtime"
                )
            if mount.recursive_read_only == "IfPossible":
                mount = replace(mount, recursive_read_only="Enabled" if able else "Disabled")  # noqa: PLW2901 - the same mount, settled
            made.append(mount)
        return made
