"""The process of a container: what is executed, with which environment, as whom."""

from collections.abc import Iterable
from typing import Any

from pilothouse.cri_shim.configs import ContainerConfig
from pilothouse.cri_shim.oci import capabilities, resources
from pilothouse.cri_shim.oci.facts import Wanted
from pilothouse.cri_shim.ports import ImageConfig
from pilothouse.services.machinery.errors import Invalid

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def of(wanted: Wanted) -> dict[str, Any]:
    """The OCI process of a container."""
    config, machine = wanted.config, wanted.machine
    security = config.linux.security_context
    made: dict[str, Any] = {
        "terminal": config.tty,
        "user": {
            "uid": wanted.user.uid,
            "gid": wanted.user.gid,
            "additionalGids": list(wanted.user.groups),
        },
        "args": arguments(config, wanted.image),
        "env": environment(config, wanted.image, hostname(wanted)),
        "cwd": config.working_dir or wanted.image.working_dir or "/",
        "capabilities": capabilities.of_process(
            security.capabilities, machine.capabilities, privileged=security.privileged
        ),
        "noNewPrivileges": security.no_new_privs,
        "oomScoreAdj": resources.oom_score_adj(
            config.linux.resources.oom_score_adj,
            machine.own_oom_score_adj,
            may_lower=machine.may_lower_oom_score,
        ),
    }
    return made


def hostname(wanted: Wanted) -> str:
    """As the container sees it."""
    return wanted.sandbox.config.hostname or wanted.machine.hostname


def arguments(config: ContainerConfig, image: ImageConfig) -> list[str]:
    """As Docker does it: a command replaces the image's entrypoint and arguments."""
    found = [*(config.command or image.entrypoint)]
    found += config.args or (() if config.command else image.cmd)
    if not found:
        raise Invalid("no command specified")
    return found


def environment(config: ContainerConfig, image: ImageConfig, hostname: str) -> list[str]:
    """The image's variables, and over them those that are asked for; NAME=value."""
    own = [] if any(_name(item) == "PATH" for item in image.env) else [PATH]
    own += [f"HOSTNAME={hostname}"]
    if config.tty:
        own.append("TERM=xterm")
    asked = [f"{item.key}={item.value.decode(errors='surrogateescape')}" for item in config.envs]
    return _last_of_each((*own, *image.env, *asked))


def _last_of_each(items: Iterable[str]) -> list[str]:
    return list({_name(item): item for item in items}.values())


def _name(item: str) -> str:
    return item.partition("=")[0]
