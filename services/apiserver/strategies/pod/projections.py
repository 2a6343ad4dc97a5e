"""Rules of projected volumes."""

from pilothouse.services.apiserver.strategies.pod.fieldrefs import check_file
from pilothouse.services.apiserver.strategies.pod.volume_paths import (
    check_free_path,
    check_items,
    check_mode,
)
from pilothouse.services.apiserver.strategies.selectors import check_selector
from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

TOKEN_SECONDS_MIN = 600
TOKEN_SECONDS_MAX = 2**32
CERTIFICATE_SECONDS_MIN = 3600
CERTIFICATE_SECONDS_MAX = 91 * 24 * 3600
_KEY_TYPES = ("ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", "RSA3072", "RSA4096")
_CONFLICT = "conflicting duplicate paths"


def check_projected(source: Body, path: str) -> list[Cause]:
    """Everything that is written into one directory."""
    causes = check_mode(source.get("defaultMode"), f"{path}.defaultMode")
    paths: set[str] = set()
    for index, item in enumerate(source.get("sources") or ()):
        where = f"{path}.sources[{index}]"
        given = [name for name, value in item.items() if value is not None]
        for name in given:
            causes += _projection(name, item[name], path, f"{where}.{name}")
            for value, file in _files(name, item[name]):
                if file in paths:
                    causes.append(names.invalid(path, value, _CONFLICT))
                paths.add(file)
        if len(given) > 1:
            detail = "may not specify more than 1 volume type per source"
            causes.append(names.forbidden(where, detail))
    return causes


def _files(name: str, projection: Body) -> list[tuple[str, str]]:
    """What a conflict shows, and the path, of each file that is named one by one."""
    if name in {"secret", "configMap"}:
        shown = projection.get("name", "")
        return [(shown, i["path"]) for i in projection.get("items") or () if i.get("path")]
    if name == "downwardAPI":
        return [(i["path"], i["path"]) for i in projection.get("items") or () if i.get("path")]
    if name == "podCertificate":
        return [(path, path) for _, path in _files_of_certificate(projection)]
    path = projection.get("path", "")
    return [(path, path)] if path and name == "clusterTrustBundle" else []


def _projection(name: str, projection: Body, volume: str, where: str) -> list[Cause]:
    match name:
        case "secret" | "configMap":
            causes = [] if projection.get("name") else [names.required(f"{where}.name")]
            return causes + check_items(projection.get("items") or (), f"{where}.items")
        case "downwardAPI":
            items = projection.get("items") or ()
            return [cause for item in items for cause in check_file(item, where)]
        case "serviceAccountToken":
            return _token(projection, volume, where)
        case "clusterTrustBundle":
            return _bundle(projection, where)
        case "podCertificate":
            return _certificate(projection, where)
    return []


def _token(projection: Body, volume: str, where: str) -> list[Cause]:
    causes = []
    seconds = projection.get("expirationSeconds", TOKEN_SECONDS_MIN)
    field = f"{where}.expirationSeconds"
    if seconds < TOKEN_SECONDS_MIN:
        detail = "may not specify a duration less than 10 minutes"
        causes.append(names.invalid(field, seconds, detail))
    if seconds > TOKEN_SECONDS_MAX:
        detail = "may not specify a duration larger than 2^32 seconds"
        causes.append(names.invalid(field, seconds, detail))
    if not projection.get("path"):
        return [*causes, names.required(f"{volume}.path")]
    return causes + check_free_path(projection["path"], f"{volume}.path")


def _bundle(projection: Body, where: str) -> list[Cause]:
    causes: list[Cause] = []
    name, signer = projection.get("name"), projection.get("signerName")
    selector = projection.get("labelSelector")
    if name is not None and signer is not None:
        detail = "only one of name and signerName may be used"
        causes.append(names.invalid(where, projection, detail))
    elif name is not None:
        if not name:
            causes.append(names.required(f"{where}.name", "must be a valid object name"))
        if selector is not None:
            detail = "labelSelector must be unset if name is specified"
            causes.append(names.invalid(f"{where}.labelSelector", selector, detail))
    elif signer is not None:
        if not signer:
            causes.append(names.required(f"{where}.signerName", "must be a valid signer name"))
        causes += check_signer(signer, f"{where}.signerName")
        if selector is not None:
            causes += check_selector(selector, f"{where}.labelSelector")
    else:
        causes.append(names.required(where, "either name or signerName must be specified"))
    if not projection.get("path"):
        causes.append(names.required(f"{where}.path"))
    return causes + check_free_path(projection.get("path", ""), f"{where}.path")


def check_signer(signer: str, field: str) -> list[Cause]:
    """``domain/path``: the name of a signer."""
    if not signer:
        return [names.required(field)]
    domain, slash, rest = signer.partition("/")
    if not slash or "/" in rest:
        detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [names.invalid(field, signer, detail)]
    causes = []
    if wrong := names.subdomain(domain):
        causes.append(names.invalid(field, signer, f"validating label {domain!r}: {wrong}"))
    elif "." not in domain:
        detail = "should be a domain with at least two segments separated by dots"
        causes.append(names.invalid(field, domain, detail))
    if wrong := names.subdomain(rest):
        causes.append(names.invalid(field, signer, f"validating part {rest!r}: {wrong}"))
    return causes


def _certificate(projection: Body, where: str) -> list[Cause]:
    causes = check_signer(projection.get("signerName", ""), f"{where}.signerName")
    key_type = projection.get("keyType", "")
    if key_type not in _KEY_TYPES:
        causes.append(names.unsupported(f"{where}.keyType", key_type, _KEY_TYPES))
    seconds = projection.get("maxExpirationSeconds")
    field = f"{where}.maxExpirationSeconds"
    if seconds is not None and seconds < CERTIFICATE_SECONDS_MIN:
        detail = f"if provided, maxExpirationSeconds must be >= {CERTIFICATE_SECONDS_MIN}"
        causes.append(names.invalid(field, seconds, detail))
    if seconds is not None and seconds > CERTIFICATE_SECONDS_MAX:
        detail = f"if provided, maxExpirationSeconds must be <= {CERTIFICATE_SECONDS_MAX}"
        causes.append(names.invalid(field, seconds, detail))
    files = _files_of_certificate(projection)
    if not files:
        detail = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
        causes.append(names.required(where, detail))
    for member, path in files:
        causes += check_free_path(path, f"{where}.{member}")
    return causes


def _files_of_certificate(projection: Body) -> list[tuple[str, str]]:
    fields = ("credentialBundlePath", "keyPath", "certificateChainPath")
    return [(field, projection[field]) for field in fields if projection.get(field)]
