"""ConfigMaps and Secrets."""

import base64

import msgspec

from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

BYTES_MAX = 1024 * 1024
_DOCKER = {
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
    "kubernetes.io/dockercfg": ".dockercfg",
}
_REQUIRED_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - the name of a type
_ACCOUNT_NAME = "kubernetes.io/service-account.name"


def _default_secret(body: Body) -> None:
    """Type Opaque; ``stringData`` is written into ``data`` and not kept."""
    if not body.get("type"):
        body["type"] = "Opaque"
    plain = body.pop("stringData", None)
    if plain:
        # A new dictionary: a patched body shares what it left alone with the object it changes.
        written = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
        body["data"] = {**(body.get("data") or {}), **written}


def _check_secret(body: Body) -> list[Cause]:
    data = body.get("data") or {}
    causes = _keys(data, "data")
    if sum(map(_octets, data.values())) > BYTES_MAX:
        causes.append(names.too_long("data", BYTES_MAX))
    kind = body.get("type", "")
    for key in _REQUIRED_KEYS.get(kind, ()):
        if key not in data:
            causes.append(names.required(f"data[{key}]"))
    if kind in _DOCKER:
        causes += _docker(data, _DOCKER[kind])
    elif kind == "kubernetes.io/ssh-auth" and not data.get("ssh-privatekey"):
        causes.append(names.required("data[ssh-privatekey]"))
    elif kind == "kubernetes.io/basic-auth" and not {"username", "password"} & data.keys():
        causes += [names.required(f"data[{key}]") for key in ("username", "password")]
    if body.get("type") == _ACCOUNT_TOKEN:
        annotations = (body.get("metadata") or {}).get("annotations") or {}
        if not annotations.get(_ACCOUNT_NAME):
            causes.append(names.required(f"metadata.annotations[{_ACCOUNT_NAME}]"))
    return causes


def _octets(text: str | None) -> int:
    """How many bytes base64 text stands for."""
    if not text:
        return 0
    return len(text) * 3 // 4 - text[-2:].count("=")


def _docker(data: Body, key: str) -> list[Cause]:
    if key not in data:
        return [names.required(f"data[{key}]")]
    try:
        found = msgspec.json.decode(base64.b64decode(data[key]))
    except (ValueError, msgspec.DecodeError) as error:
        return [names.invalid(f"data[{key}]", "<secret contents redacted>", str(error))]
    if isinstance(found, dict):
        return []
    return [names.invalid(f"data[{key}]", "<secret contents redacted>", "is not an object")]


def _check_secret_update(new: Body, old: Body) -> list[Cause]:
    causes = []
    if new.get("type") != old.get("type"):
        causes.append(names.invalid("type", new.get("type"), "field is immutable"))
    return causes + _frozen(new, old, ("data",))


def _check_config_map(body: Body) -> list[Cause]:
    text, binary = body.get("data") or {}, body.get("binaryData") or {}
    causes = _keys(text, "data") + _keys(binary, "binaryData")
    causes += [
        names.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        for key in text
        if key in binary
    ]
    size = sum(len(value.encode()) for value in text.values())
    size += sum(map(_octets, binary.values()))
    if size > BYTES_MAX:
        causes.append(names.too_long("", BYTES_MAX))
    return causes


def _check_config_map_update(new: Body, old: Body) -> list[Cause]:
    return _frozen(new, old, ("data", "binaryData"))


def _keys(data: Body, field: str) -> list[Cause]:
    return [
        names.invalid(f"{field}[{key}]", key, wrong)
        for key in data
        if (wrong := names.config_key(key))
    ]


def _frozen(new: Body, old: Body, fields: tuple[str, ...]) -> list[Cause]:
    """An object that was made immutable stays so, and its contents with it."""
    if not old.get("immutable"):
        return []
    detail = "field is immutable when `immutable` is set"
    changed = [field for field in fields if (new.get(field) or {}) != (old.get(field) or {})]
    if not new.get("immutable"):
        changed.insert(0, "immutable")
    return [names.forbidden(field, detail) for field in changed]


SECRET = Strategy(_default_secret, _check_secret, _check_secret_update)
CONFIG_MAP = Strategy(check=_check_config_map, check_update=_check_config_map_update)
