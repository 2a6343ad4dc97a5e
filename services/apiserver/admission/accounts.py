"""Every pod runs as a service account, whose token is mounted into its containers."""

import msgspec

from pilothouse.services.apiserver.admission.request import Admission, Document
from pilothouse.services.machinery.errors import Forbidden
from pilothouse.services.machinery.objects import Key, View

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3607
ROOT_CERTIFICATES = "kube-root-ca.crt"
MIRROR = "kubernetes.io/config.mirror"
FILE_MODE = 0o644


class _Reference(View, frozen=True, kw_only=True):
    name: str = ""


class _Account(View, frozen=True, kw_only=True):
    automount_service_account_token: bool | None = None
    image_pull_secrets: tuple[_Reference, ...] = ()


_decoder = msgspec.json.Decoder(_Account)


def admit(request: Admission) -> None:
    """Name the account, and mount its token unless the pod or the account says no."""
    pod = request.document
    if MIRROR in (pod["metadata"].get("annotations") or ()):
        return
    spec = pod["spec"]
    name = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    stored = request.live.find("", "serviceaccounts", Key(request.key.namespace, name))
    if stored is None:
        raise Forbidden(
            f'pods "{request.key.name}" is forbidden: error looking up service account '
            f'{request.key.namespace}/{name}: serviceaccount "{name}" not found',
            subject=request.kind.subject(request.key.name),
        )
    account = _decoder.decode(stored.json)
    wanted = spec.get("automountServiceAccountToken", account.automount_service_account_token)
    if wanted is not False:
        _mount(spec, request.suffix)
    if account.image_pull_secrets and not spec.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [{"name": item.name} for item in account.image_pull_secrets]


def _mount(spec: Document, suffix: str) -> None:
    name = _present(spec) or f"kube-api-access-{suffix}"
    mounted = False
    for member in ("initContainers", "containers"):
        for container in spec.get(member) or ():
            mounts = container.setdefault("volumeMounts", [])
            if all(mount.get("mountPath") != MOUNT_PATH for mount in mounts):
                mounts.append({"name": name, "readOnly": True, "mountPath": MOUNT_PATH})
                mounted = True
    volumes = spec.setdefault("volumes", [])
    if mounted and all(volume.get("name") != name for volume in volumes):
        volumes.append({"name": name, "projected": _projection()})


def _present(spec: Document) -> str:
    """The name of such a volume that came with the pod, copied from another one."""
    for volume in spec.get("volumes") or ():
        name: str = volume.get("name", "")
        if name.startswith("kube-api-access-") and "projected" in volume:
            return name
    return ""


def _projection() -> Document:
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {
                "configMap": {
                    "name": ROOT_CERTIFICATES,
                    "items": [{"key": "ca.crt", "path": "ca.crt"}],
                }
            },
            {
                "downwardAPI": {
                    "items": [
                        {
                            "path": "namespace",
                            "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                        }
                    ]
                }
            },
        ],
        "defaultMode": FILE_MODE,
    }
