"""The gRPC door over a real unix socket, and the flags."""

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from kit.scheduling import node, pod

from pilothouse.protos.mesh.v1 import scheduling_pb2 as pb
from pilothouse.protos.mesh.v1.scheduling_pb2_grpc import SchedulingStub
from pilothouse.services.runtime.rpc.channel import open_channel
from pilothouse.services.runtime.rpc.server import Listen, serve
from pilothouse.services.scheduler import config
from pilothouse.services.scheduler.rpc import scheduling
from pilothouse.services.scheduler.scheduler import Scheduler


class FakePods:
    """The Pods port over a dict."""

    def __init__(self, *pods):
        self.pods = {item.key: item for item in pods}

    def candidate(self, key):
        return self.pods.get(key)


@pytest.fixture
async def channel(tmp_path):
    scheduler = Scheduler()
    scheduler.put_node(node("a", cpu="1"), 0)
    scheduler.put_node(node("b", unschedulable=True), 0)
    pods = FakePods(pod("small"), pod("big", requests={"cpu": "2"}), pod("there", nodeName="b"))
    socket = tmp_path / "scheduler.sock"
    async with serve([scheduling.service(scheduler, pods)], [Listen(str(socket))]):
        assert socket.stat().st_mode & 0o777 == 0o600
        async with open_channel(f"unix://{socket}") as opened:
            yield opened


async def test_explain_encodes_every_verdict(channel):
    answer = await SchedulingStub(channel).Explain(pb.ExplainRequest(name="big"))
    assert (answer.node, answer.bound) == ("", False)
    assert answer.summary == (
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable."
    )
    first = answer.nodes[0]
    refused = [item.plugin for item in first.plugins if not item.fits]
    assert (first.node, first.fits, refused) == ("a", False, ["NodeResourcesFit"])
    points = {item.plugin: item.point for item in first.plugins}
    assert points["NodeName"] == pb.PluginVerdict.FILTER
    assert points["NodeResourcesLeastAllocated"] == pb.PluginVerdict.SCORE


async def test_explain_says_where_a_pod_would_go_or_is(channel):
    stub = SchedulingStub(channel)
    small = await stub.Explain(pb.ExplainRequest(namespace="default", name="small"))
    assert (small.node, small.bound) == ("a", False)
    assert small.nodes[0].score > 0
    there = await stub.Explain(pb.ExplainRequest(namespace="default", name="there"))
    assert (there.node, there.bound) == ("b", True)


async def test_an_unknown_pod_is_not_found(channel):
    with pytest.raises(aio.AioRpcError) as raised:
        await SchedulingStub(channel).Explain(pb.ExplainRequest(name="nobody"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert raised.value.details() == 'pods "nobody" not found'


async def test_health_and_reflection(channel):
    health = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service="pilothouse.mesh.v1.Scheduling")
    assert (await health.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    async for answer in reflection.ServerReflectionInfo(iter([asked])):
        names = {item.name for item in answer.list_services_response.service}
        assert "pilothouse.mesh.v1.Scheduling" in names


def test_flags():
    parsed = config.parse(["--server", "unix:///x.sock", "--run-dir", "/r"])
    assert (str(parsed.socket), parsed.identity) == ("/r/scheduler.sock", None)
    assert parsed.scheduler_name == "default-scheduler"


def test_a_tcp_server_needs_an_identity(capsys):
    with pytest.raises(SystemExit):
        config.parse(["--server", "10.90.0.1:6444"])
    assert "--client-certificate" in capsys.readouterr().err
