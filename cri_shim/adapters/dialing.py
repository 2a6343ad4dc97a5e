"""Connections to ports inside a network namespace."""

import asyncio
import contextlib
import ctypes
import os
import socket
import threading

from pilothouse.services.machinery.errors import ServiceUnavailable

CLONE_NEWNET = 0x40000000
CONNECT_SECONDS_MAX = 10.0
ADDRESSES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))

_libc = ctypes.CDLL(None, use_errno=True)


async def connect(netns: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To loopback of ``netns`` (a path; empty is our own); ServiceUnavailable."""
    problem: OSError | None = None
    for family, address in ADDRESSES:
        try:
            made = await asyncio.to_thread(_socket_in, netns, family)
        except OSError as error:
            problem = problem or error
            continue
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                await asyncio.get_running_loop().sock_connect(made, (address, port))
                return await asyncio.open_connection(sock=made)
        except OSError as error:
            made.close()
            problem = problem or error
    raise ServiceUnavailable(f"failed to connect to localhost:{port} inside namespace: {problem}")


def _socket_in(netns: str, family: int) -> socket.socket:
    """A socket belongs to the namespace of the thread that made it; the thread ends with it."""
    found: list[socket.socket] = []
    failed: list[OSError] = []

    def make() -> None:
        try:
            if netns:
                _enter(netns)
            made = socket.socket(family, socket.SOCK_STREAM)
            made.setblocking(False)
            found.append(made)
        except OSError as error:
            failed.append(error)

    if not netns:
        make()
    else:
        thread = threading.Thread(target=make, name="netns")
        thread.start()
        thread.join()
    if failed:
        raise failed[0]
    return found[0]


def _enter(netns: str) -> None:
    descriptor = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, descriptor)
        if _libc.setns(descriptor, CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), netns)
