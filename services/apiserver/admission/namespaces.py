"""Nothing is created in a namespace that is not there or is going."""

import msgspec

from pilothouse.services.apiserver.admission.request import Admission
from pilothouse.services.machinery.errors import Cause, Forbidden, NotFound, Subject
from pilothouse.services.machinery.objects import Key, Object

_decoder = msgspec.json.Decoder(Object)


def admit(request: Admission) -> None:
    namespace = request.key.namespace
    if not request.kind.namespaced:
        return
    stored = request.live.find("", "namespaces", Key("", namespace))
    if stored is None:
        raise NotFound(
            f'namespaces "{namespace}" not found', subject=Subject(kind="namespaces",
            name=namespace),
        )  # fmt: skip
    # Most namespaces are not going: look for the word before reading the object.
    if b'"deletionTimestamp"' in stored.json and _decoder.decode(stored.json).metadata.deleting:
        kind, name = request.kind, request.key.name
        why = (
            f"unable to create new content in namespace {namespace} because it is being terminated"
        )
        raise Forbidden(
            f'{kind.qualified} "{name}" is forbidden: {why}',
            subject=kind.subject(name),
            causes=[
                Cause("metadata.namespace", f"namespace {namespace} is being terminated",
                      "NamespaceTerminating")
            ],
        )  # fmt: skip
