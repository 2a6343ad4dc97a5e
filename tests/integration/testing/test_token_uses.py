"""A token in a Secret: its use is noted; labelled as one that nobody uses it has no force."""

import base64
import json
import ssl
import urllib.error
import urllib.request

import yaml

USED, INVALID = "kubernetes.io/legacy-token-last-used", "kubernetes.io/legacy-token-invalid-since"
TRACKING = "kube-apiserver-legacy-service-account-token-tracking"


def status_of(url, token, authority):
    """What the API answers to who shows ``token``."""
    request = urllib.request.Request(  # noqa: S310 - the control plane's own https
        f"{url}/version", headers={"Authorization": f"Bearer {token}"}
    )
    context = ssl.create_default_context(cadata=authority)
    try:
        with urllib.request.urlopen(request, context=context) as answer:  # noqa: S310 - see above
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_use_is_noted_and_what_is_marked_has_no_force(control_plane, control_plane_namespace):
    def kubectl(*words, **more):
        return control_plane.kubectl(*words, "-n", control_plane_namespace, **more)

    def secret():
        return json.loads(kubectl("get", "secret", "lasting", "-o", "json"))

    kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=20s")
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "lasting",
            "annotations": {"kubernetes.io/service-account.name": "default"},
        },
        "type": "kubernetes.io/service-account-token",
    }
    kubectl("apply", "-f", "-", text=yaml.safe_dump(body))
    kubectl("wait", "--for=jsonpath={.data.token}", "secret/lasting", "--timeout=20s")
    data = secret()["data"]
    token, authority = (base64.b64decode(data[name]).decode() for name in ("token", "ca.crt"))
    assert USED not in (secret()["metadata"].get("labels") or {})
    assert status_of(control_plane.url, token, authority) == 200
    noted = r"--for=jsonpath={.metadata.labels.kubernetes\.io/legacy-token-last-used}"
    kubectl("wait", noted, "secret/lasting", "--timeout=20s")
    since = control_plane.kubectl(
        "get", "configmap", TRACKING, "-n", "kube-system", "-o", "jsonpath={.data.since}"
    )
    assert since <= secret()["metadata"]["labels"][USED]
    kubectl("label", "secret", "lasting", f"{INVALID}=2026-01-01")
    assert status_of(control_plane.url, token, authority) == 401
    kubectl("label", "secret", "lasting", f"{INVALID}-")
    assert status_of(control_plane.url, token, authority) == 200
