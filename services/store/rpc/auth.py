"""etcd v3 ``Auth``: no users here; who may come is a matter of sockets and certificates."""

from pilothouse.protos.etcd import rpc_pb2
from pilothouse.protos.etcd.rpc_pb2_grpc import AuthServicer
from pilothouse.services.store.rpc.refused import refused

_METHODS = rpc_pb2.DESCRIPTOR.services_by_name["Auth"].methods

# Every method of the service, each refused by its name.
Auth: type[AuthServicer] = type(
    "Auth", (AuthServicer,), {method.name: refused(method.name) for method in _METHODS}
)
