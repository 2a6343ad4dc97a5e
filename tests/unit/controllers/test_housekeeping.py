"""What is kept in order beside all else: bundles, old requests, steps of size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers import config, names
from pilothouse.services.controllers.identity import podcertificatecleaning, trustbundles
from pilothouse.services.controllers.manager import CONTROLLERS
from pilothouse.services.controllers.node import ttl
from pilothouse.services.controllers.policy import validatingpolicy
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds import validating
from pilothouse.services.machinery.kinds.certificates import BundleSpec, ClusterTrustBundle
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.objects import Metadata, Object

NOW = 1_000_000.0


def bundle(name, content):
    spec = BundleSpec(signer_name=trustbundles.SIGNER, trust_bundle=content)
    return ClusterTrustBundle(metadata=Metadata(name=name), spec=spec)


def test_there_is_one_bundle_and_it_is_the_right_one():
    name = trustbundles.bundle_name("new")
    assert name.startswith("kubernetes.io:kube-apiserver-serving:")
    assert len(name.rpartition(":")[2]) == 24
    first = trustbundles.plan("new", [])
    assert (first.name, first.write, first.delete) == (name, True, ())
    old = bundle(trustbundles.bundle_name("old"), "old")
    later = trustbundles.plan("new", [old, bundle(name, "new")])
    assert (later.write, later.delete) == (False, (old,))
    assert trustbundles.plan("new", [bundle(name, "other")]).write


def test_requests_of_pods_go_after_a_quarter_of_an_hour():
    request = Object(metadata=Metadata(creation_timestamp=timestamps.render(NOW - 600)))
    assert podcertificatecleaning.seconds_left(request, NOW) == 300
    assert podcertificatecleaning.seconds_left(request, NOW + 300) <= 0


@given(st.lists(st.integers(0, 12_000), max_size=20))
def test_steps_of_size_overlap(sizes):
    at = 0
    for size in sizes:
        after = ttl.step(size, at)
        low, high, _ = ttl.STEPS[after]
        assert size >= low
        assert size <= high or after == len(ttl.STEPS) - 1
        assert ttl.step(size, after) == after
        if ttl.STEPS[at][0] <= size <= ttl.STEPS[at][1]:
            assert after == at
        at = after


def test_a_node_says_it_once():
    assert ttl.plan(Node(), 0) == "0"
    said = Node(metadata=Metadata(annotations={ttl.ANNOTATION: "0"}))
    assert ttl.plan(said, 0) is None
    assert ttl.plan(said, 1) == "15"


def test_a_policy_is_looked_at_in_each_generation():
    seen = validating.Status(observed_generation=2, type_checking=validating.TypeChecking())
    for generation, wanted in ((2, True), (3, False)):
        metadata = Metadata(name="p", generation=generation)
        policy = validating.ValidatingAdmissionPolicy(metadata=metadata, status=seen)
        assert validatingpolicy.is_seen(policy) is wanted


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("replicaset-controller,job", {"replicaset", "job"}),
        ("horizontalpodautoscaling", {"horizontal-pod-autoscaler"}),
        ("attachdetach,cloud-node-lifecycle,job", {"job"}),
        ("endpoint,pv-protection", {"endpoints", "persistentvolume-protection"}),
    ],
)
def test_upstreams_names_are_taken(words, wanted):
    assert names.chosen(words.split(","), CONTROLLERS) >= wanted - {"attachdetach"}


def test_all_but_some():
    found = names.chosen(["*", "-garbage-collector-controller", "-podgc"], CONTROLLERS)
    assert CONTROLLERS.keys() - found == {"garbagecollector", "podgc", *names.ON_REQUEST}
    with pytest.raises(ValueError, match=r'^"nobody" is not in the list of known controllers$'):
        names.chosen(["nobody"], CONTROLLERS)


@pytest.mark.parametrize(
    ("words", "there"),
    [
        ("*", False),
        ("*,bootstrapsigner,tokencleaner", True),
        ("bootstrap-signer-controller,token-cleaner-controller,*", True),
        ("tokencleaner,bootstrapsigner,-tokencleaner,-bootstrapsigner", True),
        ("-tokencleaner,-bootstrapsigner,*,tokencleaner,bootstrapsigner", False),
    ],
)
def test_two_have_to_be_asked_for_and_the_first_word_counts(words, there):
    found = names.chosen(words.split(","), CONTROLLERS)
    assert (found & names.ON_REQUEST == names.ON_REQUEST) is there
    assert bool(found & names.ON_REQUEST) is there


def test_flags_of_upstream_are_taken():
    told = config.parse(
        [
            "--server=unix:///api.sock",
            "--concurrent-deployment-syncs=11",
            "--concurrent_rc_syncs=3",
            "--kube-api-qps=100",
            "--kube-api-burst=200",
            "--use-service-account-credentials=true",
            "--profiling",
            "--node-eviction-rate=0.5",
            "--secondary-node-eviction-rate=0.1",
            "--unhealthy-zone-threshold=0.6",
            "--large-cluster-size-threshold=10",
            "--node-monitor-grace-period=20s",
            "--terminated-pod-gc-threshold=7",
            "--horizontal-pod-autoscaler-sync-period=5s",
            "--horizontal-pod-autoscaler-tolerance=0.2",
            "--feature-gates=A=true",
            "--v=2",
        ]
    )
    settings = told.settings
    assert settings.workers == {"deployment": 11, "replicationcontroller": 3}
    assert (settings.patience.grace, settings.patience.rates.eviction) == (20, 0.5)
    assert settings.patience.rates.large_cluster == 10
    assert settings.terminated_pods_max == 7
    assert (settings.autoscaling.sync_period, settings.autoscaling.tolerance) == (5, 0.2)
    assert told.secured is None
