"""The kernel's table through libnftables: one transaction per call, off the event loop.

Why not the ``nft`` program: it would be a fork and an exec per change, and reads the same text.
"""

import asyncio
import ctypes
import json
import threading
from typing import Any

from typing_extensions import override

from pilothouse.services.proxy.adapters import statements
from pilothouse.services.proxy.changes import Change
from pilothouse.services.proxy.contents import Contents
from pilothouse.services.proxy.ports import Kernel, Refused

LIBRARY = "libnftables.so.1"
ERROR_CHARACTERS_MAX = 400

_JSON_OUTPUT = 1 << 4


class Library:
    """One context of libnftables, for one thread at a time."""

    def __init__(self) -> None:
        library = ctypes.CDLL(LIBRARY)
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        library.nft_ctx_free.argtypes = [ctypes.c_void_p]
        library.nft_ctx_buffer_output.argtypes = [ctypes.c_void_p]
        library.nft_ctx_buffer_error.argtypes = [ctypes.c_void_p]
        library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        for read in (library.nft_ctx_get_output_buffer, library.nft_ctx_get_error_buffer):
            read.argtypes = [ctypes.c_void_p]
            read.restype = ctypes.c_char_p
        self._library = library
        self._context = ctypes.c_void_p(library.nft_ctx_new(0))
        self._lock = threading.Lock()
        library.nft_ctx_buffer_output(self._context)
        library.nft_ctx_buffer_error(self._context)
        library.nft_ctx_output_set_flags(self._context, _JSON_OUTPUT)

    def run(self, commands: str) -> str:
        """Run ``commands`` as one transaction; what they print, as JSON. Raises Refused."""
        with self._lock:
            code = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
            output = self._library.nft_ctx_get_output_buffer(self._context)
            error = self._library.nft_ctx_get_error_buffer(self._context)
        if code != 0:
            raise Refused(error.decode(errors="replace")[:ERROR_CHARACTERS_MAX])
        text: str = output.decode(errors="replace")
        return text

    def close(self) -> None:
        self._library.nft_ctx_free(self._context)


class Nftables(Kernel):
    """The table of this network namespace."""

    def __init__(
        self, library: Library, *, cluster_cidr: str, nodeport_addresses: tuple[str, ...] = ()
    ) -> None:
        self._library = library
        self._frame = statements.frame(cluster_cidr, nodeport_addresses)

    @override
    async def load(self, contents: Contents) -> None:
        await asyncio.to_thread(self._load, contents)

    @override
    async def change(self, change: Change) -> None:
        await asyncio.to_thread(self._library.run, statements.changed(change))

    async def clean_up(self) -> None:
        """Remove the table, if it is there."""
        await asyncio.to_thread(self._library.run, statements.CLEAN_UP)

    def _load(self, contents: Contents) -> None:
        filled = self._frame + statements.loaded(contents)
        kept = "".join(
            statements.remembered(name, clients)
            for name, clients in self._clients(contents.client_sets).items()
        )
        self._library.run(filled + kept)

    def _clients(self, wanted: frozenset[str]) -> dict[str, dict[str, tuple[int, int]]]:
        """Clients that the table remembers now, per set that it will have again."""
        if not wanted:
            return {}
        found = {}
        for item in self._listed("list sets table ip " + statements.TABLE, "set"):
            if item["name"] in wanted:
                command = f"list set ip {statements.TABLE} {item['name']}"
                found[item["name"]] = _clients(self._listed(command, "set"))
        return found

    def _listed(self, command: str, kind: str) -> list[dict[str, Any]]:
        try:
            answer = json.loads(self._library.run(command))
        except Refused:  # no table yet
            return []
        return [item[kind] for item in answer["nftables"] if kind in item]


def _clients(sets: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    return {
        item["elem"]["val"]: (item["elem"]["timeout"], item["elem"]["expires"])
        for listed in sets
        for item in listed.get("elem", [])
    }
