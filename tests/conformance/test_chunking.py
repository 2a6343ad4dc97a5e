"""Long lists in pages: one state for all of them, and what comes when that is forgotten."""

import os
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from kit.official import Official, Raw
from kit.syllabus import line

SOURCE = "apimachinery/chunking.go"
TEMPLATES = 400
PAGE = 45
COMPACTED_SECONDS_MAX = 620


def template(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": f"template-{number:04}"},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    }


@pytest.fixture
def page(client: Official, namespace: str) -> Callable[..., Raw]:
    path = f"/api/v1/namespaces/{namespace}/podtemplates"
    for number in range(TEMPLATES):
        assert client.raw("POST", path, template(number)).code == 201

    def get(**query: Any) -> Raw:
        text = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
        return client.raw("GET", f"{path}?{text}")

    return get


@line(SOURCE, "chunks of results for list calls")
def test_pages_show_one_state(page: Callable[..., Raw]) -> None:
    names: list[str] = []
    revisions: set[str] = set()
    token = ""
    while True:
        listing = page(limit=PAGE, **({"continue": token} if token else {})).json
        names += [item["metadata"]["name"] for item in listing["items"]]
        revisions.add(listing["metadata"]["resourceVersion"])
        token = listing["metadata"].get("continue", "")
        if not token:
            assert "remainingItemCount" not in listing["metadata"]
            break
        assert len(listing["items"]) == PAGE
        assert listing["metadata"]["remainingItemCount"] == TEMPLATES - len(names)
    assert names == [f"template-{number:04}" for number in range(TEMPLATES)]
    assert len(revisions) == 1
    revision = revisions.pop()
    exact = page(limit=1, resourceVersion=revision, resourceVersionMatch="Exact").json
    assert exact["metadata"]["resourceVersion"] == revision
    whole = page().json
    assert [item["metadata"]["name"] for item in whole["items"]] == names


@line(SOURCE, "continue after compaction")
@pytest.mark.skipif(
    "CONFORMANCE_SLOW" not in os.environ, reason="waits ten minutes; CONFORMANCE_SLOW=1 runs it"
)
def test_a_forgotten_state_is_continued_inconsistently(page: Callable[..., Raw]) -> None:
    first = page(limit=PAGE).json
    token = first["metadata"]["continue"]
    end = time.monotonic() + COMPACTED_SECONDS_MAX
    while (answer := page(limit=PAGE, **{"continue": token})).code == 200:
        assert time.monotonic() < end, "the store is not compacted"
        time.sleep(5)
    refusal = answer.json
    assert (refusal["code"], refusal["reason"]) == (410, "Expired")
    rest = page(**{"continue": refusal["metadata"]["continue"]}).json
    assert rest["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    assert len(rest["items"]) == TEMPLATES - PAGE
