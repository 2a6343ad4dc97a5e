"""The kernel's table through libnftables: whole transactions, off the event loop.

Why not the ``nft`` program: it would be a fork and an exec per change, and reads the same text.
"""

import asyncio
import ctypes
import json
import threading
import zlib

from typing_extensions import override

from pilothouse.services.proxy.adapters import statements
from pilothouse.services.proxy.changes import Change, diff
from pilothouse.services.proxy.contents import Contents
from pilothouse.services.proxy.ports import Kernel, Refused
from pilothouse.services.runtime import telemetry

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
        # A chain whose name says which frame the table has: of another one nothing is kept.
        self._mark = f"frame-{zlib.crc32(self._frame.encode()):08x}"

    @override
    async def load(self, contents: Contents) -> None:
        await asyncio.to_thread(self._load, contents)

    @override
    async def change(self, change: Change) -> None:
        await asyncio.to_thread(self._change, change)

    async def clean_up(self) -> None:
        """Remove the table, if it is there."""
        await asyncio.to_thread(self._library.run, statements.CLEAN_UP)

    def _load(self, contents: Contents) -> None:
        """Refill the table where it stands; only one that can not be refilled is replaced."""
        there = self._there()
        if there is not None:
            try:
                self._change(diff(there, contents), head=statements.emptied())
            except Refused as refusal:
                telemetry.logger().warning("table replaced", error=str(refusal))
            else:
                return
        new = Change(new=contents)
        mark = f"add chain ip {statements.TABLE} {self._mark}\n"
        filled = statements.prepared(new) + statements.switched(new)
        self._library.run(self._frame + mark + filled)

    def _change(self, change: Change, head: str = "") -> None:
        steps = (
            statements.prepared(change),
            head + statements.switched(change),
            statements.removed(change),
        )
        for commands in filter(None, steps):
            self._library.run(commands)

    def _there(self) -> Contents | None:
        """Names of what stands in the table beside its frame; None without a table of ours.

        Values are not read: chains look empty, and so different from any that is wanted.
        """
        chains = self._names("chains", "chain")
        if self._mark not in chains:
            return None
        ours: dict[str, tuple[str, ...]] = {
            name: () for name in chains if "/" in name or "-pick-" in name
        }
        sets = frozenset(n for n in self._names("sets", "set") if n.startswith("clients-"))
        return Contents(chains=ours, client_sets=sets)

    def _names(self, command: str, kind: str) -> set[str]:
        answer = json.loads(self._library.run(f"list {command} ip"))
        return {
            item[kind]["name"]
            for item in answer["nftables"]
            if kind in item and item[kind]["table"] == statements.TABLE
        }
