"""Who signs service account tokens: anybody in the cluster can find out, and verify."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from kit.cluster import Cluster
from kit.official import Official
from kit.syllabus import line


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def part(token: str, number: int) -> Any:
    return json.loads(unpadded(token.split(".")[number]))


@line("auth/service_accounts.go", "OIDC discovery of SA issuer")
def test_a_token_is_verified_by_what_is_published(
    cluster: Cluster, client: Official, namespace: str
) -> None:
    token = cluster.kubectl("create", "token", "default", "-n", namespace).strip()

    def read(path: str) -> Any:
        account = f"--as=system:serviceaccount:{namespace}:default"
        group = "--as-group=system:serviceaccounts"
        return json.loads(cluster.kubectl("get", "--raw", path, account, group))

    configuration = read("/.well-known/openid-configuration")
    assert configuration["issuer"] == part(token, 1)["iss"]
    assert configuration["id_token_signing_alg_values_supported"] == ["RS256"]
    assert configuration["jwks_uri"].endswith("/openid/v1/jwks")
    keys = {key["kid"]: key for key in read("/openid/v1/jwks")["keys"]}
    key = keys[part(token, 0)["kid"]]
    numbers = rsa.RSAPublicNumbers(
        *(int.from_bytes(unpadded(key[name]), "big") for name in ("e", "n"))
    )
    signed, _, signature = token.rpartition(".")
    numbers.public_key().verify(
        unpadded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    nobody = cluster.try_kubectl("get", "--raw", "/openid/v1/jwks", "--as=somebody")
    assert "Forbidden" in nobody.stderr
