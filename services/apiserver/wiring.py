"""The parts of an API server, put together: store, cache, chain, registry, and the two doors."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from pilothouse.services.apiserver.adapters import accountkeys
from pilothouse.services.apiserver.adapters.backends import Backends
from pilothouse.services.apiserver.adapters.components import ComponentStatuses
from pilothouse.services.apiserver.adapters.kubelet import Credentials, Kubelets
from pilothouse.services.apiserver.adapters.metering import MeteredStore
from pilothouse.services.apiserver.advertising import Advertising
from pilothouse.services.apiserver.allocation.allocator import Allocator
from pilothouse.services.apiserver.bootstrap import bootstrap
from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.cache.compaction import Compaction
from pilothouse.services.apiserver.chain.accounts import Accounts
from pilothouse.services.apiserver.chain.authentication import Authentication
from pilothouse.services.apiserver.chain.authorization import Authorization
from pilothouse.services.apiserver.chain.bindings import LiveBindings
from pilothouse.services.apiserver.chain.reviews import KINDS as REVIEW_KINDS
from pilothouse.services.apiserver.chain.reviews import Reviews
from pilothouse.services.apiserver.chain.roles import bootstrap_objects
from pilothouse.services.apiserver.chain.tokens import Signer, Verifier
from pilothouse.services.apiserver.config import Config
from pilothouse.services.apiserver.identity import Identity as ServerIdentity
from pilothouse.services.apiserver.identity import Place
from pilothouse.services.apiserver.kinds.catalog import Catalog, builtin_catalog
from pilothouse.services.apiserver.kinds.schemas import Schemas, published_schemas
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.offering import Offering
from pilothouse.services.apiserver.ports import Store
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.repairs import Repairs
from pilothouse.services.apiserver.rest import dispatch
from pilothouse.services.apiserver.rest import server as https
from pilothouse.services.apiserver.rest.issuer import KEYS, Issuer
from pilothouse.services.apiserver.rest.openapi.library import Library
from pilothouse.services.apiserver.rest.openapi.serving import OpenApi
from pilothouse.services.apiserver.rest.published import Described, Published
from pilothouse.services.apiserver.rest.readiness import Readiness
from pilothouse.services.apiserver.rest.services import assemble
from pilothouse.services.apiserver.rest.streams import NodeStreams
from pilothouse.services.apiserver.rest.verbs import Verbs
from pilothouse.services.apiserver.rest.version import GIT_VERSION
from pilothouse.services.apiserver.rest.watching import Watches
from pilothouse.services.apiserver.rpc.objects import service
from pilothouse.services.apiserver.tokenuses import TokenUses
from pilothouse.services.machinery.errors import ServiceUnavailable, Timeout
from pilothouse.services.machinery.storage import Unavailable
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock, SystemClock
from pilothouse.services.runtime.proc import host_name
from pilothouse.services.runtime.process import Ready
from pilothouse.services.runtime.rpc.server import Listen
from pilothouse.services.runtime.rpc.server import serve as serve_rpc
from pilothouse.services.runtime.rpc.tls import Identity

RETRY_SECONDS = 1.0

OpenStorage = Callable[[Config], AbstractAsyncContextManager[Store]]


async def run(config: Config, open_storage: OpenStorage, ready: Ready) -> None:
    """Serve until cancelled: the store first, then the cache, then the doors; back in reverse."""
    async with open_storage(config) as storage:
        await _Server(config, storage).run(ready)


class _Server:
    """One API server over an open store."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config = config
        clock = self._clock = SystemClock()
        storage = MeteredStore(store, clock.monotonic)
        catalog = builtin_catalog()
        schemas = published_schemas()
        self._cache = Cache(storage, catalog, clock)
        self._compaction = Compaction(storage, self._cache, clock, config.etcd_compaction_seconds)
        signing, keys = accountkeys.read(config.pki)
        issuers = config.service_account_issuers
        signer, verifier = Signer(signing, issuers[0]), Verifier(keys, issuers)
        self._uses = TokenUses(clock)
        accounts = Accounts(self._cache, signer, verifier, clock, self._uses.note)
        authorization = Authorization(self._cache, LiveBindings(self._cache))
        reviews = Reviews(authorization, accounts)
        self._registry = Registry(
            Parts(
                storage=storage,
                cache=self._cache,
                catalog=catalog,
                schemas=schemas,
                authorizer=authorization,
                tokens=accounts,
                clock=clock,
                allocator=Allocator(
                    config.service_cluster_ip_range, config.service_node_port_range
                ),
                event_seconds=round(config.event_seconds),
                computed={
                    "componentstatuses": ComponentStatuses(storage, config.run_dir),
                    **dict.fromkeys(REVIEW_KINDS, reviews),
                },
            )
        )
        self._advertising = Advertising(
            self._registry, config.advertise_address, config.secure_port
        )
        place = Place(host_name(), config.advertise_address, config.secure_port)
        self._identity = ServerIdentity(self._registry, place)
        pki = config.pki
        self._kubelets = Kubelets(
            Credentials(pki.kubelet_certificate, pki.kubelet_key, pki.kubelet_ca)
        )
        self._backends = Backends()
        self._readiness = Readiness(storage, clock)
        self._watches = Watches()
        self._services = assemble(
            self._registry, config.requests, self._readiness, storage, self._watches
        )
        self._door = dispatch.Door(
            dispatch.Parts(
                catalog=catalog,
                authentication=Authentication(accounts),
                authorization=authorization,
                verbs=Verbs(self._registry, clock, self._watches),
                streams=NodeStreams(self._cache, self._kubelets, self._backends),
                published=_published(config, catalog, schemas, keys, clock),
                services=self._services,
            )
        )

    async def run(self, ready: Ready) -> None:
        """Load, listen, create what a cluster is born with, and say that all is ready."""
        await self._patiently(self._cache.load)
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self._cache.run())
            compacting = group.create_task(self._compaction.run())
            establishing = group.create_task(self._registry.establishing.run())
            try:
                async with self._doors():
                    self._readiness.synced = True
                    await self._patiently(self._bootstrap)
                    await self._live(group, ready)
            finally:
                compacting.cancel()
                establishing.cancel()
                following.cancel()

    async def _patiently(self, step: Callable[[], Awaitable[None]]) -> None:
        """A step of the start, again and again until the store answers."""
        while True:
            try:
                await step()
            except (ServiceUnavailable, Timeout, Unavailable) as error:
                telemetry.logger().warning("waiting for the store", error=str(error))
                await self._clock.sleep(RETRY_SECONDS)
            else:
                return

    async def _live(self, group: asyncio.TaskGroup, ready: Ready) -> None:
        """Until the end, of which the other servers are told before the doors close."""
        loops = [
            self._advertising.run(),
            self._identity.run(),
            Repairs(self._registry).run(),
            Offering(self._registry).run(),
            self._uses.run(self._registry),
        ]
        if self._services.upkeep is not None:
            await self._services.upkeep.bring_up()
            loops.append(self._services.upkeep.run())
        living = [group.create_task(loop) for loop in loops]
        self._readiness.bootstrapped = True
        ready.ready()
        try:
            await asyncio.Event().wait()
        finally:
            self._readiness.stopping = True
            for each in living:
                each.cancel()
            await self._advertising.withdraw()

    @contextlib.asynccontextmanager
    async def _doors(self) -> AsyncIterator[None]:
        config, pki = self._config, self._config.pki
        certificates = https.Certificates(pki.tls_certificate, pki.tls_key, pki.client_ca)
        sockets = [https.inherited_socket(n) for n in config.listen_fds]
        own = (config.bind_address, config.secure_port)
        if not sockets or (config.secure_port and all(s.getsockname()[:2] != own for s in sockets)):
            sockets.append(https.listening_socket(config.bind_address, config.secure_port))
        listens = [Listen(str(config.socket))]
        if config.mesh_address:
            identity = Identity(pki.tls_certificate, pki.tls_key, pki.client_ca)
            listens.append(Listen(config.mesh_address, identity))
        rpc = service(self._registry, self._registry.parts.catalog)
        try:
            async with (
                serve_rpc([rpc], listens),
                https.serve(
                    self._door.answer, sockets, certificates, self._clock, self._services.drained
                ),
            ):
                try:
                    yield
                finally:
                    self._readiness.stopping = True
                    await self._clock.sleep(config.requests.shutdown_delay)
                    self._watches.end()
        finally:
            await self._kubelets.close()
            await self._backends.close()

    async def _bootstrap(self) -> None:
        config = self._config
        await bootstrap(
            self._registry,
            await self._advertising.renew(),
            config.secure_port,
            bootstrap_objects(),
            config.service_cluster_ip_range,
        )


def _published(
    config: Config, catalog: Catalog, schemas: Schemas, keys: Sequence[RSAPublicKey], clock: Clock
) -> Published:
    """What the server tells of itself, and of the tokens it issues."""
    address = f"{config.advertise_address}:{config.secure_port}"
    issuer, *_ = config.service_account_issuers
    jwks_uri = config.service_account_jwks_uri or f"https://{address}{KEYS}"
    library = Library(catalog, schemas, GIT_VERSION)
    described: list[Described] = [OpenApi(library, clock.now), Issuer(issuer, jwks_uri, keys)]
    return Published(catalog, described, address)


@contextlib.asynccontextmanager
async def open_etcd_storage(config: Config) -> AsyncIterator[Store]:
    """The store at ``--etcd-servers``."""
    # Its generated code is loaded only where it is used.
    from pilothouse.services.apiserver.adapters.etcd import open_etcd  # noqa: PLC0415 - as said

    storage = await open_etcd(config.etcd_servers, config.etcd_identity)
    try:
        yield storage
    finally:
        await storage.close()
