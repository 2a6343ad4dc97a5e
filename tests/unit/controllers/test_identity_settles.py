"""Of what gives a cluster its identity: what a plan asks for is done, and nothing is left to do."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.devices import resourceclaim
from pilothouse.services.controllers.identity import aggregation, signing, trustbundles
from pilothouse.services.controllers.identity.podcertificatecleaning import (
    PodCertificateCleaningController,
)
from pilothouse.services.controllers.identity.signing import Terms
from pilothouse.services.controllers.identity.trustbundles import TrustBundleController
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds import certificates, devices
from pilothouse.services.machinery.kinds.certificates import (
    BundleSpec,
    CertificateSigningRequest,
    ClusterTrustBundle,
    Condition,
    Spec,
    Status,
    Subject,
)
from pilothouse.services.machinery.kinds.devices import Allocation, Consumer, ResourceClaim
from pilothouse.services.machinery.kinds.identity import AggregationRule, ClusterRole
from pilothouse.services.machinery.kinds.pods import ClaimStatus, Pod, PodClaim
from pilothouse.services.machinery.kinds.pods import Spec as PodSpec
from pilothouse.services.machinery.kinds.pods import Status as PodStatus
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Key, Metadata, Object, OwnerReference

NOW = 1_800_000_000.0
replace = msgspec.structs.replace


class Bundles:
    """All bundles of the signer."""

    def __init__(self, found):
        self.found = {item.metadata.name: item for item in found}
        self.writes = 0

    def authority(self):
        return "the authority"

    def bundles(self):
        return list(self.found.values())

    async def write(self, todo):
        self.writes += 1
        spec = BundleSpec(signer_name=trustbundles.SIGNER, trust_bundle=self.authority())
        self.found[todo.name] = ClusterTrustBundle(metadata=Metadata(name=todo.name), spec=spec)

    async def delete(self, bundle):
        self.writes += 1
        del self.found[bundle.metadata.name]


def bundle(name, content):
    spec = BundleSpec(signer_name=trustbundles.SIGNER, trust_bundle=content)
    return ClusterTrustBundle(metadata=Metadata(name=name), spec=spec)


RIGHT = trustbundles.bundle_name("the authority")


@given(
    st.dictionaries(
        st.sampled_from([RIGHT, "old", "strange"]), st.sampled_from(["the authority", "another"])
    )
)
async def test_one_bundle_is_left_and_it_is_written_once(found):
    cluster = Bundles([bundle(name, content) for name, content in found.items()])
    await TrustBundleController(cluster).reconcile(Key("", "any"))
    [left] = cluster.bundles()
    assert (left.metadata.name, left.spec.trust_bundle) == (RIGHT, "the authority")
    writes = cluster.writes
    await TrustBundleController(cluster).reconcile(Key("", "any"))
    assert cluster.writes == writes


def labelled(name, label, *verbs):
    return ClusterRole(
        metadata=Metadata(name=name, labels={label: "yes"} if label else {}),
        rules=tuple({"verbs": [verb]} for verb in verbs),
    )


@given(
    st.dictionaries(
        st.sampled_from("bcdef"),
        st.tuples(st.sampled_from(["", "one", "two"]), st.lists(st.sampled_from("xyz"))),
    ),
    st.lists(st.sampled_from(["one", "two"]), min_size=1, max_size=3),
)
def test_roles_of_roles_come_to_rest(parts, wanted):
    selectors = tuple(LabelSelector(match_labels={label: "yes"}) for label in wanted)
    whole = replace(
        labelled("a", "one", "old"),
        aggregation_rule=AggregationRule(cluster_role_selectors=selectors),
    )
    others = [labelled(name, label, *verbs) for name, (label, verbs) in parts.items()]
    rules = aggregation.plan(whole, [whole, *others])
    if rules is not None:
        whole = replace(whole, rules=rules)
    assert aggregation.plan(whole, [whole, *others]) is None
    chosen = [other for other in others if set(other.metadata.labels) & set(wanted)]
    for other in chosen:
        assert all(rule in whole.rules for rule in other.rules)


@given(
    st.sampled_from([certificates.KUBELET_CLIENT, certificates.CLIENT, "example.com/mine"]),
    st.none() | st.integers(-10, 10**9),
    st.floats(600, 10**9),
)
def test_a_certificate_lasts_no_longer_than_was_said(signer, asked, lasting):
    request = CertificateSigningRequest(
        spec=Spec(signer_name=signer, usages=("client auth",), expiration_seconds=asked),
        status=Status(conditions=(Condition(type="Approved"),)),
    )
    todo = signing.plan(request, Subject(common_name="jane"), lasting, NOW)
    if todo.terms is not None:
        assert isinstance(todo.terms, Terms)
        assert todo.terms.ends <= NOW + lasting
        assert asked is None or todo.terms.ends <= NOW + max(asked, signing.SECONDS_MIN)
        status = replace(request.status, certificate="made")
    else:
        conditions = (*request.status.conditions, Condition(type="Failed"))
        status = replace(request.status, conditions=conditions) if todo.failure else request.status
    again = replace(request, status=status)
    assert signing.plan(again, Subject(common_name="jane"), lasting, NOW) == signing.Plan()


class Requests:
    """One request of a pod."""

    def __init__(self, it, now):
        self.it, self.clock, self.deleted = it, now, 0

    def find(self, key):
        return self.it

    def now(self):
        return self.clock

    async def delete(self, request):
        self.deleted += 1
        self.it = None


@given(st.floats(0, 7200))
async def test_a_request_of_a_pod_goes_once_when_its_time_is_over(age):
    made = timestamps.render(NOW - age)
    desk = Requests(Object(metadata=Metadata(creation_timestamp=made)), NOW)
    cleaner = PodCertificateCleaningController(desk)
    result = await cleaner.reconcile(Key("n", "r"))
    if result.again_after is not None:
        assert not desk.deleted
        desk.clock += result.again_after + 1e-3
        await cleaner.reconcile(Key("n", "r"))
    await cleaner.reconcile(Key("n", "r"))
    assert desk.deleted == 1


WANTED = st.lists(
    st.tuples(st.sampled_from(["template", "direct"]), st.sampled_from(["", "told", "unneeded"])),
    max_size=4,
)


@given(WANTED, st.sets(st.integers(0, 3)), st.booleans(), st.booleans())
def test_a_pod_has_its_claims_after_one_plan(wanted, there, bound, allocated):
    owner = OwnerReference(api_version="v1", kind="Pod", name="p", uid="u", controller=True)
    status = devices.Status(allocation=Allocation() if allocated else None)
    made = {}
    claims, told = [], []
    for number, (sort, say) in enumerate(wanted):
        name, claim = f"c{number}", f"p-c{number}"
        if sort == "direct":
            claims.append(PodClaim(name=name, resource_claim_name=claim))
        else:
            claims.append(PodClaim(name=name, resource_claim_template_name="t"))
            if say:
                real = claim if say == "told" else None
                told.append(ClaimStatus(name=name, resource_claim_name=real))
        if number in there:
            made[claim] = ResourceClaim(
                metadata=Metadata(
                    name=claim,
                    annotations={devices.CLAIM_NAME: name},
                    owner_references=(owner,) if sort == "template" else (),
                ),
                status=status,
            )
    pod = Pod(
        metadata=Metadata(name="p", uid="u"),
        spec=PodSpec(resource_claims=tuple(claims), node_name="n" if bound else ""),
        status=PodStatus(resource_claim_statuses=tuple(told)),
    )

    def planned():
        own = [claim for claim in made.values() if devices.is_for(pod, claim)]
        return resourceclaim.plan(pod, made, own)

    todo = planned()
    names = dict(todo.tell)
    for one in todo.create:
        names[one.name] = f"new-{one.name}"
        made[f"new-{one.name}"] = ResourceClaim(
            metadata=Metadata(
                name=f"new-{one.name}",
                annotations={devices.CLAIM_NAME: one.name},
                owner_references=(owner,),
            )
        )
    for claim in todo.reserve:
        assert bound
        assert allocated
        held = devices.Status(allocation=Allocation(), reserved_for=(Consumer(uid="u"),))
        made[claim.metadata.name] = replace(claim, status=held)
    known = {item.name: item for item in pod.status.resource_claim_statuses}
    known |= {n: ClaimStatus(name=n, resource_claim_name=claim) for n, claim in names.items()}
    pod = replace(pod, status=replace(pod.status, resource_claim_statuses=tuple(known.values())))
    assert planned() == resourceclaim.Plan()
