"""Shuffle sharding: the few of many queues that one flow may use."""

import hashlib
from functools import lru_cache
from math import ceil, log2

HASH_BITS = 64
# What of the hash is used up may not exceed this.
ENTROPY_BITS_MAX = 60


def entropy_bits(deck: int, hand: int) -> int:
    """The bits of hash that dealing ``hand`` of ``deck`` cards takes."""
    return ceil(sum(log2(deck - dealt) for dealt in range(hand)))


def flow_hash(schema: str, distinguisher: str) -> int:
    """The number that a flow is dealt its queues by."""
    text = f"{schema}\0{distinguisher}".encode(errors="surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[: HASH_BITS // 8], "big")


def deal(number: int, deck: int, hand: int) -> tuple[int, ...]:
    """``hand`` different cards of ``0..deck-1``."""
    dealt: list[int] = []
    for taken in range(hand):
        number, place = divmod(number, deck - taken)
        # The place counts only cards that are still in the deck.
        for card in sorted(dealt):
            if place >= card:
                place += 1
        dealt.append(place)
    return tuple(dealt)


@lru_cache(maxsize=4096)
def hand_of(schema: str, distinguisher: str, deck: int, hand: int) -> tuple[int, ...]:
    """The queues of a flow."""
    return deal(flow_hash(schema, distinguisher), deck, hand)
