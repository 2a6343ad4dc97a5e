"""Tables, where a kind has none."""

from kit.official import Official
from kit.syllabus import line

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@line("apimachinery/table_conversion.go", "406 for a backend without metadata")
def test_a_review_is_no_table(client: Official) -> None:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = client.raw("POST", path, review, headers={"Accept": TABLE})
    assert (answer.code, answer.json["reason"]) == (406, "NotAcceptable")
    assert client.raw("POST", path, review).code == 201
