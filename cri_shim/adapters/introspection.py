"""Which plugins containerd has."""

from grpc import aio

from pilothouse.cri_shim.adapters.containerd import CALL_SECONDS_MAX, METADATA, answer
from pilothouse.protos.containerd import introspection_pb2 as introspection
from pilothouse.protos.containerd.introspection_pb2_grpc import IntrospectionStub
from pilothouse.services.machinery.errors import ServiceUnavailable


async def snapshotter_root(channel: aio.Channel, name: str) -> str:
    """Where a snapshotter keeps its files, empty when it does not say; ServiceUnavailable when
    containerd can not use it here.
    """
    wanted = f"type==io.containerd.snapshotter.v1,id=={name}"
    request = introspection.PluginsRequest(filters=[wanted])
    found = await answer(
        IntrospectionStub(channel).Plugins(request, metadata=METADATA, timeout=CALL_SECONDS_MAX)
    )
    for plugin in found.plugins:
        if plugin.HasField("init_err"):
            raise ServiceUnavailable(f"snapshotter {name}: {plugin.init_err.message}")
        return plugin.exports.get("root", "")
    raise ServiceUnavailable(f"containerd has no snapshotter {name!r}")
