"""The parameters of operations: their names, types, and what they mean. Pure."""

import base64
import hashlib
from typing import Any, TypeAlias

Document: TypeAlias = dict[str, Any]

PRETTY = ("pretty",)
_SELECT = (
    "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
    "resourceVersionMatch", "sendInitialEvents", "shardSelector", "timeoutSeconds",
)  # fmt: skip
LIST = ("allowWatchBookmarks", *_SELECT, "watch")
WRITE = ("dryRun", "fieldManager", "fieldValidation")
PATCH = (*WRITE, "force")
DELETE = ("dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential",
          "orphanDependents", "propagationPolicy")  # fmt: skip
DELETE_COLLECTION = (*DELETE, *_SELECT)
LOG = ("container", "follow", "insecureSkipTLSVerifyBackend", "limitBytes", "previous",
       "sinceSeconds", "stream", "tailLines", "timestamps")  # fmt: skip
CONNECT = {
    "attach": ("container", "stderr", "stdin", "stdout", "tty"),
    "exec": ("command", "container", "stderr", "stdin", "stdout", "tty"),
    "portforward": ("ports",),
    "proxy": ("path",),
}

_TEXTS = {
    "allowWatchBookmarks": "Send BOOKMARK events in a watch, so that its version stays recent.",
    "command": "The command to run, one word per parameter; it is not run in a shell.",
    "container": "The container; the only one, or the default one, when empty.",
    "continue": "Where a list that was cut by limit goes on.",
    "dryRun": "All: do everything but store the result.",
    "fieldManager": "Who makes this change, as managedFields names it; at most 128 characters.",
    "fieldSelector": "Only objects whose fields are so, such as metadata.name=web.",
    "fieldValidation": "What becomes of unknown and duplicate fields: Ignore, Warn or Strict.",
    "follow": "Go on while the container writes.",
    "force": "In an apply, take over fields that others own.",
    "gracePeriodSeconds": "How long the object may take to end; 0 ends it now.",
    "ignoreStoreReadErrorWithClusterBreakingPotential":
        "Delete even an object that can not be read from the store any more.",
    "insecureSkipTLSVerifyBackend": "Do not verify who serves the log.",
    "labelSelector": "Only objects with such labels.",
    "limit": "At most so many objects; the answer then tells where the list goes on.",
    "limitBytes": "At most so many bytes of log.",
    "name": "The name of the object.",
    "namespace": "The namespace that the object is in.",
    "orphanDependents": "Deprecated, use propagationPolicy. Whether dependents stay.",
    "path": "The part of the path that is meant for what the request is relayed to.",
    "ports": "The port to forward to.",
    "pretty": "Whether the answer is indented.",
    "previous": "The log of the container that ran before.",
    "propagationPolicy": "What becomes of dependents: Orphan, Background or Foreground.",
    "resourceVersion": "The version that is read, or that a watch begins after.",
    "resourceVersionMatch": "How resourceVersion is meant: Exact or NotOlderThan.",
    "sendInitialEvents": "Begin a watch with what there is, and a bookmark at its end.",
    "shardSelector": "Only objects of one shard.",
    "sinceSeconds": "Only lines of the last so many seconds.",
    "stderr": "Connect the standard error.",
    "stdin": "Connect the standard input.",
    "stdout": "Connect the standard output.",
    "stream": "Which stream of the log: All, Stdout or Stderr.",
    "tailLines": "Only so many lines at the end.",
    "timeoutSeconds": "How long the request may take.",
    "timestamps": "Begin every line with its time.",
    "tty": "Give the command a terminal.",
    "watch": "Answer with a stream of changes.",
}  # fmt: skip
_INTEGERS = frozenset({
    "gracePeriodSeconds", "limit", "limitBytes", "ports", "sinceSeconds", "tailLines",
    "timeoutSeconds",
})  # fmt: skip
_BOOLEANS = frozenset({
    "allowWatchBookmarks", "follow", "force", "ignoreStoreReadErrorWithClusterBreakingPotential",
    "insecureSkipTLSVerifyBackend", "orphanDependents", "previous", "sendInitialEvents", "stderr",
    "stdin", "stdout", "timestamps", "tty", "watch",
})  # fmt: skip


def v3(name: str, place: str) -> Document:
    """The parameter, in ``query`` or ``path``, in OpenAPI v3's words."""
    described: Document = {"name": name, "in": place, "description": _TEXTS[name]}
    if place == "path":
        described["required"] = True
    return {**described, "schema": {"type": _type(name), "uniqueItems": True}}


def v2(name: str, place: str) -> Document:
    """The parameter in OpenAPI v2's words."""
    described: Document = {"uniqueItems": True, "type": _type(name), "description": _TEXTS[name]}
    if place == "path":
        described["required"] = True
    return {**described, "name": name, "in": place}


def v2_key(name: str, place: str) -> str:
    """What the document of v2 calls the parameter among its shared ones."""
    digest = hashlib.sha256(repr(sorted(v2(name, place).items())).encode()).digest()
    return f"{name}-{base64.urlsafe_b64encode(digest[:6]).decode()}"


def _type(name: str) -> str:
    if name in _INTEGERS:
        return "integer"
    return "boolean" if name in _BOOLEANS else "string"
