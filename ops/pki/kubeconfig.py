"""kubeconfig files: everything kubectl needs in one file, certificates included."""

import base64
import os
from pathlib import Path

import yaml


def write(path: Path, *, cluster: str, server: str, pki: Path, stem: str = "admin") -> None:
    """Write a kubeconfig (mode 0600) for the holder of ``pki/<stem>.key`` at ``server``."""

    def embed(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    user = f"{cluster}-{stem}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": cluster,
        "clusters": [
            {
                "name": cluster,
                "cluster": {"server": server, "certificate-authority-data": embed("ca.crt")},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": embed(f"{stem}.crt"),
                    "client-key-data": embed(f"{stem}.key"),
                },
            }
        ],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user}}],
    }
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        yaml.safe_dump(document, file, sort_keys=False)
    fresh.replace(path)
