"""Remember who pulled what, and say who need not pull again."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from pilothouse.services.kubelet.images import access
from pilothouse.services.kubelet.images.access import Policy, Record, Records
from pilothouse.services.kubelet.images.keyring import Entry
from pilothouse.services.kubelet.ports import Image
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.images import Reference
from pilothouse.services.runtime.clock import Clock

Tell = Callable[[Image, Entry | None], None]


class ImageAccess:
    """Records that can not be read or written make pulls more frequent, nothing else."""

    def __init__(self, records: Records | None, policy: Policy, clock: Clock) -> None:
        self._records = records
        self._policy = policy
        self._clock = clock

    def may_use(self, name: Reference, image: Image, fitting: Sequence[Entry]) -> bool:
        """Whether a pod with these credentials may use what is on the node."""
        if self._records is None:
            return True
        try:
            record = self._records.find(image.ref)
            is_ours = self._records.is_intended(str(name)) or (
                record is not None and not _is_preloaded(record, name, image)
            )
        except OSError:
            return False
        if not self._policy.verifies(name.repository, is_ours=is_ours):
            return True
        return access.may_use(record, name.repository, [one.secret for one in fitting])

    @contextmanager
    def pulling(self, name: Reference) -> Iterator[Tell]:
        """While it is pulled; call what is given with what came, and with whose credentials."""
        records = self._records

        def tell(image: Image, who: Entry | None) -> None:
            if records is None:
                return
            now = timestamps.render(self._clock.now())
            with suppress(OSError):
                before = records.find(image.ref)
                secret = who.secret if who is not None else None
                records.keep(access.granted(before, image.ref, name.repository, secret, now))

        if records is None:
            yield tell
            return
        with suppress(OSError):
            records.intend(str(name))
        try:
            yield tell
        finally:
            with suppress(OSError):
                records.settle(str(name))


def _is_preloaded(record: Record, name: Reference, image: Image) -> bool:
    """The same image under a name that came to the runtime without the kubelet.

    It is only a name that counts here: by its id an image can be found without one.
    """
    return str(name) in image.names and name.repository not in record.credential_mapping
