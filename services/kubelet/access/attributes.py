"""What a request to the kubelet asks for, in words that the cluster's authorization knows. Pure.

A path is a subresource of the node. Some have two names, the second the old and wide one
(``proxy``, which stands for the whole kubelet); either suffices.
"""

PROXY = "proxy"
_FINE = (
    ("/pods", "pods"), ("/healthz", "healthz"), ("/configz", "configz"), ("/statusz", "statusz"),
    ("/runningpods", "pods"),
)  # fmt: skip
_OWN = (
    ("/stats", "stats"),
    ("/metrics", "metrics"),
    ("/logs", "log"),
    ("/checkpoint", "checkpoint"),
)
_VERBS = {"POST": "create", "GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def verb_of(method: str) -> str:
    """The verb of a method; empty for methods that have none."""
    return _VERBS.get(method, "")


def subresources_of(path: str) -> tuple[str, ...]:
    """Subresources of the node, of which one must be allowed, in the order they are asked."""
    for top, name in _OWN:
        if _is_below(path, top):
            return (name,)
    for top, name in _FINE:
        if _is_below(path, top):
            return (name, PROXY)
    return (PROXY,)


def forbidden(user: str, verb: str, subresources: tuple[str, ...]) -> str:
    """What is said to whom it is not allowed."""
    asked = " ".join(subresources)
    return f"Forbidden (user={user}, verb={verb}, resource=nodes, subresource(s)=[{asked}])\n"


def undecided(user: str, verb: str, subresource: str) -> str:
    """What is said when nobody could tell."""
    about = f"user={user}, verb={verb}, resource=nodes, subresource={subresource}"
    return f"Authorization error ({about})"


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}/")
