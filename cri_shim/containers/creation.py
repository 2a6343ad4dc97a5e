"""The creation of a container: from what is asked for to what can be started."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from msgspec.structs import replace

from pilothouse.cri_shim import configs
from pilothouse.cri_shim.configs import TARGET, ContainerConfig, PodSandboxConfig
from pilothouse.cri_shim.containers.containers import Surroundings
from pilothouse.cri_shim.oci import container, seccomp, signals, users
from pilothouse.cri_shim.oci.facts import Wanted
from pilothouse.cri_shim.ports import ImageConfig, Images, Mounted
from pilothouse.cri_shim.records import READY, RUNNING, ContainerRecord, SandboxRecord
from pilothouse.cri_shim.store import events
from pilothouse.cri_shim.store.events import Event
from pilothouse.cri_shim.store.records import container_name
from pilothouse.cri_shim.surroundings import Made, SandboxPlaces
from pilothouse.services.machinery.errors import ApiError, InternalError, Invalid


@dataclass
class Creation:
    """Makes containers; what failed leaves nothing."""

    around: Surroundings
    images: Images
    sandboxes: SandboxPlaces
    handlers: dict[str, str]

    async def create(
        self, sandbox_id: str, config: ContainerConfig, sandbox: PodSandboxConfig | None
    ) -> str:
        """Its id. NotFound for an unknown sandbox or image, Conflict for a name that is taken."""
        around = self.around
        if not config.metadata.name:
            raise Invalid("container config must include metadata")
        within = around.store.sandbox(sandbox_id)
        if within.state != READY:
            raise InternalError(f"sandbox container {within.id!r} is not running")
        image = await self.images.resolve(config.image.image)
        record = self._planned(within, config, sandbox, image)
        around.store.reserve(container_name(record), record.id)
        try:
            roots = await around.snapshots.prepare(record.snapshot_key, image.chain_id)
            record = await self._make(record, within, image, roots)
        except BaseException:
            with suppress(ApiError, OSError):
                await around.objects.delete(record.id)
                await around.snapshots.remove(record.snapshot_key)
                await around.places.release(record.id)
            around.store.drop(record.id)
            raise
        around.roots[record.id] = roots
        around.store.put(record)
        around.events.tell(Event(events.CREATED, record.id, within.id, record.created_at))
        return record.id

    def _planned(
        self,
        within: SandboxRecord,
        config: ContainerConfig,
        sandbox: PodSandboxConfig | None,
        image: ImageConfig,
    ) -> ContainerRecord:
        id_ = secrets.token_hex(32)
        directory = (sandbox or within.config).log_directory
        return ContainerRecord(
            id=id_,
            sandbox_id=within.id,
            config=config,
            image_id=image.id,
            image_ref=image.ref if "@" in image.ref else image.id,
            image_name=image.name,
            created_at=int(self.around.clock.now() * 1_000_000_000),
            log_path=f"{directory}/{config.log_path}" if directory and config.log_path else "",
            snapshotter=self.around.snapshots.name,
            snapshot_key=id_,
            stop_signal=signals.name(config.stop_signal, image.stop_signal),
        )

    async def _make(
        self,
        record: ContainerRecord,
        within: SandboxRecord,
        image: ImageConfig,
        roots: Sequence[Mounted],
    ) -> ContainerRecord:
        around = self.around
        accounts = await around.places.accounts(image.chain_id, record.id, roots)
        config = record.config
        security = config.linux.security_context
        taken = {mount.container_path.rstrip("/") for mount in config.mounts}
        paths = [path for path in image.volumes if path.rstrip("/") not in taken]
        mounts = await around.places.mounts(record.id, config.mounts)
        ipc = within.config.linux.security_context.namespace_options.ipc
        wanted = Wanted(
            id=record.id,
            config=replace(config, mounts=mounts),
            sandbox=within,
            files=self.sandboxes.sandbox(within.id, shares_ipc=ipc == configs.NODE),
            image=image,
            user=users.resolve(security, image.user, accounts),
            machine=around.machine,
            target_pid=self._target(security.namespace_options),
            seccomp=self._seccomp(security),
            devices=around.places.devices(config.devices, privileged=security.privileged),
            volumes=await around.places.volumes(record.id, paths, roots),
        )
        spec = container.spec(wanted)
        made = Made(
            record.id, "container", image.ref, spec, self.handlers[within.runtime_handler],
            config.labels, record.snapshotter, record.snapshot_key,
        )  # fmt: skip
        await around.objects.create(made)
        return replace(record, cgroup_path=spec["linux"]["cgroupsPath"], process=spec["process"])

    def _target(self, options: configs.NamespaceOption) -> int:
        """The process whose pid namespace is shared; 0 for nobody's."""
        if options.pid != TARGET:
            return 0
        found = self.around.store.container(options.target_id)
        if found.state != RUNNING:
            raise InternalError(f"target container {options.target_id!r} is not running")
        return found.pid

    def _seccomp(self, security: configs.ContainerSecurity) -> dict[str, object] | None:
        if security.privileged:
            return None
        profile = seccomp.wanted(security.seccomp, security.seccomp_profile_path)
        if profile.profile_type != configs.LOCALHOST:
            return None
        return self.around.places.seccomp(profile.localhost_ref)
