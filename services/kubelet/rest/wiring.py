"""Put the routes of one kubelet together."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from aiohttp import web

from pilothouse.services.kubelet.adapters.certificates.serving_files import ServingFiles
from pilothouse.services.kubelet.adapters.cri.checkpoint import CriCheckpoints
from pilothouse.services.kubelet.adapters.cri.runtime import CriStreams
from pilothouse.services.kubelet.adapters.observing import Observing
from pilothouse.services.kubelet.certificates.serving import Serving as CertificateOf
from pilothouse.services.kubelet.config import Config, Serving
from pilothouse.services.kubelet.rest import health, server
from pilothouse.services.kubelet.rest.access import Door
from pilothouse.services.kubelet.rest.commands import ContainerCommands
from pilothouse.services.kubelet.rest.figures import Figures, Sources
from pilothouse.services.kubelet.rest.health import Health
from pilothouse.services.kubelet.rest.node_logs import NodeLogs
from pilothouse.services.kubelet.rest.pages import Pages
from pilothouse.services.kubelet.rest.streaming import Streaming
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.runtime.clientcerts import Judge
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.door.users import user_of

SILENCE_SECONDS_MIN = 300.0


class Routes:
    """Everything that this kubelet serves over HTTP."""

    def __init__(
        self,
        config: Config,
        pods: Pods,
        observing: Observing,
        runtime: tuple[CriStreams, CriCheckpoints],
        clock: Clock,
    ) -> None:
        self._config = config
        self._pods = pods
        self._observing = observing
        self._runtime = runtime
        self._clock = clock

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Until the block ends; with a certificate of the cluster's signer, where told so."""
        config, said = self._config, self._config.kubelet
        local = (said.healthz_bind_address, said.healthz_port, self.health().application())
        open_ = (self._address(), said.read_only_port, self.read_only())
        made, least = self.application(), said.tls_min_version
        async with (
            server.serve(config.serving, made, least) as context,
            health.serve(*local),
            health.serve(*open_),
            asyncio.TaskGroup() as group,
        ):
            renewing = (self._renewing(context), self._observing.client_certificate(self._clock))
            tasks = [group.create_task(item.run()) for item in renewing if item is not None]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    def _address(self) -> str:
        """Where the server listens."""
        serving = self._config.serving
        return self._config.node_ip if serving is None else serving.address

    def _renewing(self, context: ssl.SSLContext | None) -> CertificateOf | ServingFiles | None:
        """What keeps the server's certificate fresh; None where there is no server."""
        config, serving = self._config, self._config.serving
        if context is None or serving is None:
            return None
        if config.kubelet.server_tls_bootstrap:
            return self._observing.certificate(context, self._clock)
        files = serving.identity
        return ServingFiles(files.certificate, files.key, context, self._clock)

    def health(self) -> Health:
        """Whether the kubelet is well."""
        most = max(SILENCE_SECONDS_MIN, self._config.kubelet.sync_frequency * 2)
        loop = health.sync_check(self._observing.survey.silence_seconds, most)
        return Health({"ping": health.healthy, "log": health.healthy, "syncloop": loop})

    def read_only(self) -> web.Application:
        """What ``readOnlyPort`` shows to everybody: figures, pods, health."""
        pages = Pages(
            self._observing.listing, self._config.kubelet, self._config.flags, self._clock
        )
        rooms: list[server.Room] = [self.health(), self._figures(), pages]
        meters = self._observing.counting.meters
        return server.application(None, rooms, meters, self._clock)

    def application(self) -> web.Application:
        """All of it, behind the door."""
        serving = self._config.serving
        rooms: list[server.Room] = [self.health()]
        meters = self._observing.counting.meters
        if serving is None:
            return server.application(None, rooms, meters, self._clock)
        rooms += [self._figures(), *self._debugging()]
        return server.application(self._door(serving), rooms, meters, self._clock)

    def _door(self, serving: Serving) -> Door:
        said, reviews = self._config.kubelet, self._observing.reviews
        return Door(
            Judge(serving.identity.authority, self._clock.now, user_of),
            reviews if said.authentication.webhook.enabled else None,
            reviews if said.authorization.mode == "Webhook" else None,
            anonymous=said.authentication.anonymous.enabled,
        )

    def _figures(self) -> Figures:
        observing, config = self._observing, self._config
        sources = Sources(
            node=config.node_name,
            cgroup_root=config.cgroup_root,
            platform=observing.platform,
            pods=self._pods,
            usages=observing.usages,
            meters=observing.counting.meters,
            probes=observing.counting.probes,
            clock=self._clock,
        )
        serving = config.serving
        return Figures(sources, None if serving is None else serving.identity.certificate)

    def _debugging(self) -> list[server.Room]:
        config, clock = self._config, self._clock
        said = config.kubelet
        streams, checkpoints = self._runtime
        pages = Pages(self._observing.listing, said, config.flags, clock)
        commands = ContainerCommands(
            self._pods, streams, checkpoints, config.paths.root / "checkpoints", clock
        )
        always: list[server.Room] = [pages, commands]
        if not said.enable_debugging_handlers:
            why = "Debug endpoints are disabled."
            return [*always, *(server.Shut(path, why) for path in server.DEBUGGING)]
        shut = server.Shut("/logs", "logs endpoint is disabled.")
        logs = NodeLogs() if said.enable_system_log_handler else shut
        streaming = Streaming(self._pods, streams, clock)
        debugging = [server.Debugging(pages), server.Debugging(commands)]
        return [*always, *debugging, streaming, logs]
