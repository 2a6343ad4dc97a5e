"""Signals by CRI's number, by name or by number."""

import signal
from signal import SIGKILL as _SIGKILL
from signal import SIGTERM as _SIGTERM

SIGKILL, SIGTERM = int(_SIGKILL), int(_SIGTERM)
_NAMES = """
ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS
TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ
"""
CRI = ("", *(f"SIG{name}" for name in _NAMES.split()), "SIGRTMIN",
       *(f"SIGRTMIN+{n}" for n in range(1, 16)), *(f"SIGRTMAX-{n}" for n in range(14, 0, -1)),
       "SIGRTMAX")  # fmt: skip
"""CRI's enumeration by its numbers; 0 asks for the runtime's default."""


def name(asked: int, image: str) -> str:
    """The stop signal of a container: what is asked for, else what the image says."""
    return CRI[asked] if 0 < asked < len(CRI) else image


def number(said: str) -> int:
    """The kernel's number; SIGTERM for nothing and for what is none."""
    if said.isdecimal():
        return int(said)
    word, plus, offset = said.upper().replace("-", "+-").partition("+")
    word = word if word.startswith("SIG") else f"SIG{word}"
    aliases = {"SIGCLD": signal.SIGCHLD, "SIGIOT": signal.SIGABRT, "SIGPOLL": signal.SIGIO,
               "SIGSTKFLT": 16}  # fmt: skip
    found = aliases.get(word) or getattr(signal, word, None)
    if not said or not isinstance(found, int):
        return SIGTERM
    return int(found) + (int(offset) if plus and offset.lstrip("-").isdecimal() else 0)


def cri(said: str) -> int:
    """CRI's number of a signal; 0 when it has none."""
    wanted = number(said)
    return next((at for at, word in enumerate(CRI) if word and number(word) == wanted), 0)
