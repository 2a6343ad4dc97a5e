"""Chain ids: what snapshotters call the sum of some layers."""

import hashlib
from collections.abc import Sequence


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """One for each layer: of it and all below."""
    found: list[str] = []
    for diff_id in diff_ids:
        if not found:
            found.append(diff_id)
            continue
        digest = hashlib.sha256(f"{found[-1]} {diff_id}".encode()).hexdigest()
        found.append(f"sha256:{digest}")
    return found
