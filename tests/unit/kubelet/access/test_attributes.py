"""Paths of the kubelet's server as subresources of the node."""

import pytest

from pilothouse.services.kubelet.access import attributes


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/stats/summary", ("stats",)),
        ("/metrics", ("metrics",)),
        ("/metrics/cadvisor", ("metrics",)),
        ("/metricsand", ("proxy",)),
        ("/logs/", ("log",)),
        ("/checkpoint/a/b/c", ("checkpoint",)),
        ("/pods", ("pods", "proxy")),
        ("/runningpods/", ("pods", "proxy")),
        ("/healthz/ping", ("healthz", "proxy")),
        ("/configz", ("configz", "proxy")),
        ("/statusz", ("statusz", "proxy")),
        ("/exec/a/b/c", ("proxy",)),
        ("/", ("proxy",)),
    ],
)
def test_subresources(path, expected):
    assert attributes.subresources_of(path) == expected


def test_verbs():
    assert [attributes.verb_of(item) for item in ("GET", "POST", "HEAD")] == ["get", "create", ""]


def test_words():
    told = attributes.forbidden("jane", "get", ("pods", "proxy"))
    assert told == "Forbidden (user=jane, verb=get, resource=nodes, subresource(s)=[pods proxy])\n"
