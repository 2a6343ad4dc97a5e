"""nftables' own words for a table and for a change of it.

A change is three transactions. A packet reads the table's generation when it enters a hook, but
looks elements up in whatever generation is current: an element that comes together with the chain
it leads to may lead a packet into the chain's past, where it is empty, and the packet would go on
untranslated. So chains are there before an element leads to them, and go after none does.
"""

import string
from collections.abc import Iterable, Mapping
from itertools import groupby

from pilothouse.services.proxy.changes import Change
from pilothouse.services.proxy.contents import CLIENTS_MAX, MASQUERADE_BIT, Slot
from pilothouse.services.proxy.rules import PROTOCOLS

TABLE = "pilothouse"

_AT = "ip daddr . meta l4proto . th dport"
_AT_NODE = "meta l4proto . th dport"
# One map a protocol: nft 1.0.6 takes a map's type from an example, and one names a protocol.
_ENDPOINT_MAPS = "\n".join(
    f"  map {kind}-endpoints {{ typeof ip daddr . {numbered} : ip daddr . {kind} dport; }}\n"
    f"  map node-{kind}-endpoints {{ typeof {numbered} : ip daddr . {kind} dport; }}"
    for kind in PROTOCOLS.values()
    for numbered in (f"{kind} dport . numgen random mod 2",)
)
_FRAME = f"""\
add table ip {TABLE}
delete table ip {TABLE}
table ip {TABLE} {{
  map services {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map nodeports {{ type inet_proto . inet_service : verdict; }}
  map unserved {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map unserved-nodeports {{ type inet_proto . inet_service : verdict; }}
{_ENDPOINT_MAPS}
  set hairpins {{ type ipv4_addr . ipv4_addr; }}

  chain refuse {{
    meta l4proto tcp reject with tcp reset
    reject
  }}
  chain judge {{
    ct state new {_AT} vmap @unserved
    ct state new fib daddr type local $nodes {_AT_NODE} vmap @unserved-nodeports
  }}
  chain translate {{
    {_AT} vmap @services
    fib daddr type local $nodes {_AT_NODE} vmap @nodeports
  }}
  chain judge-prerouting {{
    type filter hook prerouting priority -110
    jump judge
  }}
  chain judge-output {{
    type filter hook output priority -110
    jump judge
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat
    jump translate
  }}
  chain output {{
    type nat hook output priority -100
    jump translate
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat
    oifname "lo" return
    meta mark & {MASQUERADE_BIT:#x} != 0 masquerade
    ct status dnat ip saddr . ip daddr @hairpins masquerade
$leaving  }}
}}
"""

_MAPS = (
    "services", "nodeports", "unserved", "unserved-nodeports",
    *(f"{of}{kind}-endpoints" for of in ("", "node-") for kind in PROTOCOLS.values()),
)  # fmt: skip
_SET = (
    f"add set ip {TABLE} {{}} {{{{ type ipv4_addr; flags dynamic,timeout; size {CLIENTS_MAX}; }}}}"
)
_LEAVING = "    ip saddr {0} ip daddr != {{ {0}, 224.0.0.0/4 }} masquerade\n"

CLEAN_UP = f"add table ip {TABLE}\ndelete table ip {TABLE}\n"


def frame(cluster_cidr: str, nodeport_addresses: tuple[str, ...]) -> str:
    """The table anew, empty of Services, in the place of any other.

    Pods that leave the cluster go by the node's address: nobody outside knows a way back to theirs.
    Without ``nodeport_addresses`` every local address but loopback serves node ports.
    """
    accepted = ", ".join(nodeport_addresses)
    return string.Template(_FRAME).substitute(
        nodes=f"ip daddr {{ {accepted} }}" if accepted else "ip daddr != 127.0.0.0/8",
        leaving=_LEAVING.format(cluster_cidr) if cluster_cidr else "",
    )


def prepared(change: Change) -> str:
    """First: chains and sets that nothing refers to yet."""
    old, new = change.old, change.new
    lines = [_SET.format(name) for name in sorted(new.client_sets)]
    fresh = [name for name in new.chains if name not in old.chains]
    lines += [f"add chain ip {TABLE} {name}" for name in fresh]
    return _text(lines + [line for name in fresh for line in _rules(name, new.chains[name])])


def switched(change: Change) -> str:
    """Second: what packets meet, from one to the other."""
    old, new = change.old, change.new
    both = [name for name in new.chains if name in old.chains]
    lines = [f"flush chain ip {TABLE} {name}" for name in both]
    lines += [line for name in both for line in _rules(name, new.chains[name])]
    lines += _elements("delete", old.elements, with_values=False)
    lines += _elements("add", new.elements, with_values=True)
    return _text(lines)


def removed(change: Change) -> str:
    """Third: chains and sets that nothing refers to any more."""
    old, new = change.old, change.new
    gone = [name for name in old.chains if name not in new.chains]
    lines = [f"flush chain ip {TABLE} {name}" for name in gone]
    lines += [f"delete chain ip {TABLE} {name}" for name in gone]
    lines += [f"delete set ip {TABLE} {name}" for name in sorted(old.client_sets)]
    return _text(lines)


def emptied() -> str:
    """Every map without its elements; for the head of :func:`switched`."""
    lines = [f"flush map ip {TABLE} {name}" for name in _MAPS]
    return _text([*lines, f"flush set ip {TABLE} hairpins"])


def _rules(name: str, chain: Iterable[str]) -> Iterable[str]:
    return (f"add rule ip {TABLE} {name} {statement}" for statement in chain)


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _elements(verb: str, elements: Mapping[Slot, str], *, with_values: bool) -> Iterable[str]:
    """One command per map: a list of elements is far quicker to read than a command each."""
    for map_, slots in groupby(sorted(elements), key=lambda slot: slot.map):
        texts = [
            f"{slot.key} : {elements[slot]}" if with_values and elements[slot] else slot.key
            for slot in slots
        ]
        yield f"{verb} element ip {TABLE} {map_} {{ {', '.join(texts)} }}"
