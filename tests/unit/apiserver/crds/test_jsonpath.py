"""The paths of printer columns find what those of the real server find."""

import pytest

from pilothouse.services.apiserver.crds.jsonpath import BadPath, compile_path

DOCUMENT = {
    "metadata": {"labels": {"app.kubernetes.io/name": "web"}},
    "spec": {"items": [{"name": "a", "v": 1}, {"name": "b", "v": 2}, {"name": "c", "v": 3}]},
    "status": {"conditions": [{"type": "A", "status": "x"}, {"type": "Ready", "status": "True"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.items[0].name", ["a"]),
        (".spec.items[-1].name", ["c"]),
        (".spec.items[-1:].name", ["c"]),
        (".spec.items[:2].name", ["a", "b"]),
        (".spec.items[0:3:2].name", ["a", "c"]),
        (".spec.items[7:].name", []),
        (".spec.items[*].v", [1, 2, 3]),
        (".spec.items[?(@.v>1)].name", ["b", "c"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (r".metadata.labels.app\.kubernetes\.io/name", ["web"]),
        (".metadata.labels['app.kubernetes.io/name']", ["web"]),
        ("..v", [1, 2, 3]),
        (".spec..name", ["a", "b", "c"]),
        (".spec.nothing.there", []),
        (".spec[0:1]", []),
    ],
)
def test_paths(path, found):
    assert compile_path(path)(DOCUMENT) == found


@pytest.mark.parametrize("path", [".spec.items[", ".a[x]", "a b[", ".a[1:2:3:4]"])
def test_what_is_no_path(path):
    with pytest.raises(BadPath):
        compile_path(path)
