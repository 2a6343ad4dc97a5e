"""Of every plan: what it asks for is done, and nothing is left to do; and it keeps its limits."""

from ipaddress import ip_network

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.garbage import collector
from pilothouse.services.controllers.garbage.collector import NOTHING, Owner, State
from pilothouse.services.controllers.garbage.graph import FOREGROUND, ORPHAN, Item, is_waiting
from pilothouse.services.controllers.identity import rootca, serviceaccount, token
from pilothouse.services.controllers.identity.rootca import Write
from pilothouse.services.controllers.identity.token import Act
from pilothouse.services.controllers.namespace import namespace
from pilothouse.services.controllers.node import ipam, podgc
from pilothouse.services.controllers.node.pools import Pool, Range
from pilothouse.services.controllers.policy import disruption, resourcequota
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import identity, namespaces, pods
from pilothouse.services.machinery.kinds.identity import ConfigMap, Secret, ServiceAccount
from pilothouse.services.machinery.kinds.namespaces import Namespace
from pilothouse.services.machinery.kinds.nodes import Node, Spec
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.policy import Budget, BudgetSpec, BudgetStatus
from pilothouse.services.machinery.objects import Key, Metadata, OwnerReference
from pilothouse.services.machinery.resources import CONFIG_MAPS, PODS

NOW = 1_900_000_000.0
GONE = timestamps.render(NOW)
replace = msgspec.structs.replace
share = st.integers(0, 9) | st.integers(0, 100).map(lambda number: f"{number}%")


def pod(name, *, ready=True, deleting=False, node=""):
    told = (Condition(type="Ready", status="True" if ready else "False"),)
    gone = GONE if deleting else None
    return Pod(
        metadata=Metadata(name=name, deletion_timestamp=gone),
        spec=pods.Spec(node_name=node),
        status=pods.Status(conditions=told),
    )


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=8),
    st.integers(0, 9),
    st.sets(st.integers(0, 9)),
    st.one_of(
        st.builds(lambda least: {"min_available": least}, share),
        st.builds(lambda most: {"max_unavailable": most}, share),
    ),
)
def test_a_budget_never_allows_more_than_it_has_and_is_told_once(shapes, wanted, asked, spec):
    found = [pod(f"p{i}", ready=r, deleting=d) for i, (r, d) in enumerate(shapes)]
    disrupted = {f"p{number}": GONE for number in sorted(asked)}
    budget = Budget(
        metadata=Metadata(name="b", generation=2),
        spec=BudgetSpec(**spec),
        status=BudgetStatus(disrupted_pods=disrupted),
    )
    status = disruption.plan(budget, found, {"rs": wanted}, NOW).status
    assert (
        0 <= status.disruptions_allowed <= max(0, status.current_healthy - status.desired_healthy)
    )
    leaving = {item.metadata.name for item in found if item.metadata.deleting} | disrupted.keys()
    ready = {item.metadata.name for item in found if pods.is_ready(item)}
    assert status.current_healthy == len(ready - leaving)
    again = disruption.plan(replace(budget, status=status), found, {"rs": wanted}, NOW)
    assert again.status == status


@given(st.lists(st.booleans(), max_size=12), st.integers(0, 3))
def test_every_node_gets_a_range_of_its_own_once(named, bits):
    pool = Pool(Range(ip_network(f"10.8.0.0/{24 - bits}"), 24))
    taken: set[str] = set()
    for number, has_one in enumerate(named):
        node = Node(
            metadata=Metadata(name=f"n{number}"),
            spec=Spec(pod_cidr="10.9.0.0/24" if has_one else ""),
        )
        todo = ipam.plan(node, [pool])
        if has_one:
            assert todo == ipam.Plan()
        elif len(taken) == 2**bits:
            assert todo.full
        else:
            [part] = todo.parts
            assert part.subnet_of(ip_network(f"10.8.0.0/{24 - bits}"))
            assert str(part) not in taken
            taken.add(str(part))
            pool.take(part)
            given_one = replace(node, spec=replace(node.spec, pod_cidr=str(part)))
            assert ipam.plan(given_one, [pool]) == ipam.Plan()


@given(
    st.none() | st.dictionaries(st.sampled_from(["ca.crt", "other"]), st.text(max_size=3)),
    st.text(max_size=3),
    st.booleans(),
)
def test_the_root_certificate_is_written_once(data, certificate, active):
    home = Namespace(
        metadata=Metadata(name="a", deletion_timestamp=None if active else GONE),
        status=namespaces.Status(phase="Active" if active else "Terminating"),
    )
    said = Metadata(annotations={identity.DESCRIPTION: "what it is for"})
    present = None if data is None else ConfigMap(metadata=said, data=data)
    todo = rootca.plan(home, present, certificate)
    if not active:
        assert todo.write is Write.NOTHING
    written = ConfigMap(metadata=said, data=todo.data)
    assert rootca.plan(home, written, certificate).write is Write.NOTHING
    assert serviceaccount.plan(home, there=False) is active
    assert not serviceaccount.plan(home, there=True)


@given(
    st.dictionaries(st.sampled_from(["token", "ca.crt", "namespace"]), st.text(max_size=3)),
    st.sampled_from([None, "uid", "another"]),
    st.booleans(),
)
def test_a_token_is_filled_in_once_and_goes_with_its_account(data, bound, there):
    notes = {identity.ACCOUNT_NAME: "robot"} | ({identity.ACCOUNT_UID: bound} if bound else {})
    secret = Secret(metadata=Metadata(name="t", namespace="a", annotations=notes), data=data)
    account = ServiceAccount(metadata=Metadata(name="robot", uid="uid")) if there else None
    todo = token.plan(secret, account, "PEM")
    if todo.act is Act.DELETE:
        assert not there or bound not in {None, "uid"}
    if todo.act is Act.FILL:
        full = {**data, **todo.data, **({"token": "signed"} if todo.sign else {})}
        marked = replace(secret.metadata, annotations={**notes, identity.ACCOUNT_UID: "uid"})
        filled = replace(secret, metadata=marked, data=full)
        assert token.plan(filled, account, "PEM").act is Act.NOTHING


@given(st.lists(st.tuples(st.sampled_from([PODS, CONFIG_MAPS]), st.booleans()), max_size=8))
def test_a_namespace_is_emptied_pods_first_and_then_let_go(kinds):
    contents = {
        f"o{number}": (resource, Metadata(name=f"o{number}", finalizers=("f",) if held else ()))
        for number, (resource, held) in enumerate(kinds)
    }
    home = Namespace(
        metadata=Metadata(name="a", deletion_timestamp=GONE),
        spec=namespaces.Spec(finalizers=(namespaces.FINALIZER,)),
    )
    for _ in range(2 * len(contents) + 4):
        items = [namespace.Item(*found) for found in contents.values()]
        todo = namespace.plan(home, namespace.Contents(items))
        if todo.release:
            break
        assert todo.again_after is not None
        if any(item.resource == CONFIG_MAPS for item in todo.delete):
            assert all(item.resource == CONFIG_MAPS for item in items)
        said = namespace.told(home, items, {}, NOW)
        home = replace(home, status=replace(home.status, conditions=said))
        assert namespace.told(home, items, {}, NOW + 1) == said
        if not todo.delete:  # whoever holds what is left lets it go
            contents = {n: found for n, found in contents.items() if not found[1].deleting}
        for item in todo.delete:
            if item.metadata.finalizers:
                leaving = replace(item.metadata, deletion_timestamp=GONE)
                contents[item.metadata.name] = (item.resource, leaving)
            else:
                del contents[item.metadata.name]
    assert todo.release
    assert not contents


@given(st.integers(0, 9), st.integers(0, 9), st.dictionaries(st.just("used"), st.just({})))
def test_a_quota_is_counted_once(many, hard, status):
    quota = {
        "metadata": {"name": "q", "namespace": "a"},
        "spec": {"hard": {"configmaps": str(hard)}},
        "status": status,
    }
    found = {("", "configmaps"): [{"metadata": {"name": f"c{n}"}} for n in range(many)]}
    todo = resourcequota.plan(quota, found)
    assert todo.status is not None
    assert todo.status["used"] == {"configmaps": str(many)}
    assert resourcequota.plan({**quota, "status": todo.status}, found).status is None


@given(st.booleans(), st.booleans(), st.none() | st.floats(0, 1e4), st.booleans())
def test_a_pod_is_only_taken_where_its_node_is_lost_to_it(bound, deleting, missing, out):
    it = pod("p", deleting=deleting, node="n" if bound else "")
    todo = podgc.plan(it, missing, out_of_service=out)
    if todo.delete and bound and missing is None:
        assert out
        assert deleting
    if todo.again_after is not None:
        later = podgc.plan(it, (missing or 0.0) + todo.again_after + 1e-6)
        assert later.delete


@st.composite
def graphs(draw):
    """Objects that own each other, some of them on their way out, some owners unheard of."""
    names = [f"o{number}" for number in range(draw(st.integers(1, 7)))]
    made = {}
    for name in names:
        owners = draw(st.sets(st.sampled_from([*names, "stranger"]), max_size=2)) - {name}
        leaving = draw(st.booleans())
        held = draw(st.sampled_from([(FOREGROUND,), (ORPHAN,)])) if leaving else ()
        made[name] = Metadata(
            name=name,
            uid=name,
            deletion_timestamp=GONE if leaving else None,
            finalizers=held,
            owner_references=tuple(
                OwnerReference(
                    api_version="v1",
                    kind="Pod",
                    name=owner,
                    uid=owner,
                    block_owner_deletion=draw(st.booleans()),
                )
                for owner in sorted(owners)
            ),
        )
    return made


def without(metadata, uids):
    kept = tuple(owner for owner in metadata.owner_references if owner.uid not in uids)
    return replace(metadata, owner_references=kept)


def collect(world, name):
    """One look at an object, as the API would carry it out; whether there was anything to do."""
    metadata = world[name]
    owners = [
        Owner(
            owner.uid,
            State.ABSENT
            if owner.uid not in world
            else State.WAITING
            if is_waiting(world[owner.uid])
            else State.SOLID,
        )
        for owner in metadata.owner_references
    ]
    dependents = [
        Item(PODS, other)
        for other in world.values()
        if any(owner.uid == name for owner in other.owner_references)
    ]
    todo = collector.plan(Item(PODS, metadata), owners, dependents)
    if todo == NOTHING:
        return False
    for other in todo.disown:
        world[other.metadata.uid] = without(world[other.metadata.uid], {name})
    left = [held for held in metadata.finalizers if held != todo.release]
    metadata = without(replace(world[name], finalizers=tuple(left)), todo.drop)
    if todo.unblock:
        metadata = replace(
            metadata,
            owner_references=tuple(
                replace(owner, block_owner_deletion=False) for owner in metadata.owner_references
            ),
        )
    if todo.policy:
        held = {"Foreground": (FOREGROUND,), "Orphan": (ORPHAN,)}.get(todo.policy, ())
        metadata = replace(metadata, deletion_timestamp=GONE, finalizers=held)
    world[name] = metadata
    if metadata.deleting and not metadata.finalizers:
        del world[name]
    return True


@given(graphs(), st.randoms(use_true_random=False))
def test_garbage_is_collected_to_the_last_and_what_is_owned_stays(world, order):
    solid = {name for name, it in world.items() if not it.deleting and not it.owner_references}
    for _ in range(200):
        names = list(world)
        order.shuffle(names)
        if not sum(collect(world, name) for name in names if name in world):
            break
    else:
        raise AssertionError("it comes to no end")
    assert solid <= world.keys()
    for name, it in world.items():
        owners = {owner.uid for owner in it.owner_references}
        assert not owners or owners & world.keys(), f"{name} has outlived its owners"


class Orphanage:
    """One pod that nobody looks after."""

    def __init__(self, pod):
        self.it = pod
        self.acts = []

    def pod(self, key):
        return self.it

    def missing_seconds(self, pod):
        return None

    def is_out_of_service(self, pod):
        return False

    def is_surplus(self, pod):
        return False

    async def is_node_gone(self, pod):
        return False

    async def fail(self, pod, why):
        self.acts.append(("fail", why))

    async def delete(self, pod):
        self.acts.append(("delete", ""))


async def test_who_waits_for_the_end_of_a_pod_that_no_node_had_is_told_of_it():
    orphanage = Orphanage(pod("p", deleting=True))
    await podgc.PodGCController(orphanage).reconcile(Key("a", "p"))
    assert orphanage.acts == [("fail", ""), ("delete", "")]
    ended = replace(orphanage.it, status=replace(orphanage.it.status, phase="Failed"))
    orphanage = Orphanage(ended)
    await podgc.PodGCController(orphanage).reconcile(Key("a", "p"))
    assert orphanage.acts == [("delete", "")]
