"""Our bytes read and written again by Google's library: the wire format is the common one."""

import random

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, unknown_fields

from pilothouse.services.machinery.protobuf.decoder import Decoders
from pilothouse.services.machinery.protobuf.encoder import Encoders
from pilothouse.services.machinery.protobuf.messages import SCALARS, published
from pilothouse.services.machinery.protobuf.wire import Limits

PROTO = descriptor_pb2.FieldDescriptorProto
TYPES = {
    "string": PROTO.TYPE_STRING, "int32": PROTO.TYPE_INT32, "int64": PROTO.TYPE_INT64,
    "bool": PROTO.TYPE_BOOL, "double": PROTO.TYPE_DOUBLE, "bytes": PROTO.TYPE_BYTES,
    "json": PROTO.TYPE_BYTES, "octets": PROTO.TYPE_BYTES,
}  # fmt: skip
TIMES = ("meta.v1.Time", "meta.v1.MicroTime")
ROOTS = sorted(message for _, _, message in published().kinds())


def flat(message):
    return message.replace(".", "_")


def declare(described, field):
    """One field of a message, as ``protoc`` would describe it."""
    added = described.field.add(name=f"f{field.number}", number=field.number)
    added.label = PROTO.LABEL_REPEATED if field.form else PROTO.LABEL_OPTIONAL
    type_, name = TYPES.get(field.type, PROTO.TYPE_MESSAGE), f".k8s.{flat(field.type)}"
    if field.form == "{":
        entry = described.nested_type.add(name=f"F{field.number}Entry")
        entry.options.map_entry = True
        optional = PROTO.LABEL_OPTIONAL
        entry.field.add(name="key", number=1, label=optional, type=PROTO.TYPE_STRING)
        value = entry.field.add(name="value", number=2, label=optional, type=type_)
        if field.type not in SCALARS:
            value.type_name = name
        type_, name = PROTO.TYPE_MESSAGE, f".k8s.{described.name}.F{field.number}Entry"
    added.type = type_
    if type_ == PROTO.TYPE_MESSAGE:
        added.type_name = name


def declared():
    """Every message that a kind leads to, in one file."""
    file = descriptor_pb2.FileDescriptorProto(name="k8s.proto", package="k8s", syntax="proto2")
    seen, ahead = set(), list(ROOTS)
    while ahead:
        message = ahead.pop()
        if message in seen:
            continue
        seen.add(message)
        described = file.message_type.add(name=flat(message))
        for field in published().fields(message):
            declare(described, field)
            if field.type not in SCALARS:
                ahead.append(field.type)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


POOL = declared()
NUMBERS = {"int32": (-1, 0, 2**31 - 1, -(2**31)), "int64": (-1, 0, 2**63 - 1, -(2**63)),
           "bool": (False, True), "double": (0.5, -1e300)}  # fmt: skip


def fill(theirs, message, dice, level=0):
    """Set about half of the fields of Google's message, each to some value."""
    for field in published().fields(message):
        if level > 6 or dice.random() < 0.5:
            continue
        name = f"f{field.number}"
        if field.form == "{" and field.type not in SCALARS:
            fill(getattr(theirs, name)["k"], field.type, dice, level + 1)
        elif field.form == "{":
            getattr(theirs, name)["k"] = some(field.type, dice)
        elif field.type not in SCALARS and field.form:
            fill(getattr(theirs, name).add(), field.type, dice, level + 1)
        elif field.type not in SCALARS:
            getattr(theirs, name).SetInParent()
            fill(getattr(theirs, name), field.type, dice, level + 1)
        elif field.form:
            getattr(theirs, name).extend([some(field.type, dice), some(field.type, dice)])
        else:
            # Any other number of seconds or nanoseconds may be no time.
            setattr(theirs, name, 7 if message in TIMES else some(field.type, dice))


def some(type_, dice):
    if type_ in NUMBERS:
        return dice.choice(NUMBERS[type_])
    if type_ == "string":
        return dice.choice(["a", "ü" * 100])
    return b'{"a":[1]}' if type_ == "json" else b"\x00\xff"


@pytest.mark.parametrize("message", ROOTS)
def test_both_libraries_read_the_same(message):
    made = message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"k8s.{flat(message)}"))
    decode, encode = Decoders(published()).of(message), Encoders(published()).of(message)
    for seed in range(2):
        theirs = made()
        fill(theirs, message, random.Random(seed))  # noqa: S311 - no secret
        sent = theirs.SerializeToString()
        values = decode(sent, 0, len(sent), Limits())
        ours = encode(values)
        again = made.FromString(ours)
        assert len(unknown_fields.UnknownFieldSet(again)) == 0
        written = again.SerializeToString()
        assert decode(written, 0, len(written), Limits()) == values
