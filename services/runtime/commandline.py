"""What the command lines of Kubernetes' components have in common.

Some flags ask for what is so anyway, or for what is not here. They are taken, so that a command
line can move, and ``--help`` says why nothing comes of them.
"""

import argparse
from collections.abc import Mapping
from types import MappingProxyType

VERSION = "v1.37.0"
"""The Kubernetes that components are like."""
DEBUG_VERBOSITY = 4

UNUSED: Mapping[str, str] = MappingProxyType({
    "the API server itself holds back whom it can not serve; clients have no limit of their own":
        "kube-api-qps kube-api-burst master-qps",
    "objects travel as JSON text in gRPC messages":
        "kube-api-content-type disable-http2-serving http2-max-streams-per-connection",
    "who calls and what they may do is asked of the API server, over the component's own way there":
        "authentication-kubeconfig authentication-skip-lookup "
        "authentication-token-webhook-cache-ttl authentication-tolerate-lookup-failure "
        "authorization-kubeconfig authorization-webhook-cache-authorized-ttl "
        "authorization-webhook-cache-unauthorized-ttl",
    "the component is asked directly, through no aggregating proxy":
        "requestheader-allowed-names requestheader-client-ca-file "
        "requestheader-extra-headers-prefix requestheader-group-headers "
        "requestheader-uid-headers requestheader-username-headers",
    "TLS is 1.2 or newer with the ciphers that OpenSSL's defaults allow; no certificate is made":
        "cert-dir tls-cipher-suites tls-curve-preferences tls-min-version tls-sni-cert-key",
    "every feature is as upstream has it by default, and there is one version":
        "feature-gates emulated-version emulation-forward-compatible min-compatibility-version",
    "all that is counted is shown":
        "allow-metric-labels allow-metric-labels-manifest disabled-metrics "
        "show-hidden-metrics-for-version",
    "profiles are taken from outside: py-spy dump --pid PID":
        "profiling contention-profiling",
    "logs go to standard error, a line at a time, as JSON unless that is a terminal":
        "log-flush-frequency log-json-info-buffer-size log-json-split-stream "
        "log-text-info-buffer-size log-text-split-stream logging-format vmodule",
    "an address is listened on by one process":
        "permit-address-sharing permit-port-sharing",
})  # fmt: skip
"""By the reason why nothing comes of them."""


def add_unused(parser: argparse.ArgumentParser, unused: Mapping[str, str]) -> None:
    """Flags of upstream's that nothing comes of, under the reason for that."""
    for reason, names in unused.items():
        group = parser.add_argument_group(f"taken without effect: {reason}")
        for name in names.split():
            group.add_argument(f"--{name}", nargs="?", default="", metavar="…")


def add_common(parser: argparse.ArgumentParser) -> None:
    """``-v`` as klog has it, ``--version``, and what no component does anything about."""
    parser.add_argument("--version", action="version", version=f"Kubernetes {VERSION}")
    text = f"what is logged: {DEBUG_VERBOSITY} and more is everything"
    parser.add_argument("-v", "--v", dest="v", type=int, default=0, metavar="LEVEL", help=text)
    add_unused(parser, UNUSED)


def log_level(flags: argparse.Namespace) -> str:
    """As told by ``-v``."""
    return "debug" if flags.v >= DEBUG_VERBOSITY else "info"


def told(flags: argparse.Namespace) -> dict[str, str]:
    """All flags and their values as text, for people."""
    return {name.replace("_", "-"): _text(value) for name, value in sorted(vars(flags).items())}


def boolean(text: str) -> bool:
    """As Go reads it; ValueError."""
    if text in {"1", "t", "T", "true", "TRUE", "True"}:
        return True
    if text in {"0", "f", "F", "false", "FALSE", "False"}:
        return False
    raise ValueError(text)


def add_switch(parser: argparse.ArgumentParser, name: str, text: str, *, default: bool) -> None:
    """``--name`` alone is true, ``--name=false`` is not."""
    parser.add_argument(
        f"--{name}", type=boolean, nargs="?", const=True, default=default, metavar="BOOL", help=text
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
