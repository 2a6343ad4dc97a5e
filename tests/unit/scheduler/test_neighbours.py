"""Affinity, anti-affinity and spread over columns, against the same rules one node at a time."""

from hypothesis import given, settings
from hypothesis import strategies as st
from kit.scheduling import node, table_of, view
from kit.scheduling_reference import ReferenceNode, neighbours_allow

from pilothouse.services.scheduler import candidate
from pilothouse.services.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from pilothouse.services.scheduler.plugins.pod_topology_spread import PodTopologySpread

KEYS = ["kubernetes.io/hostname", "zone"]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

nodes = st.lists(
    st.fixed_dictionaries(
        {}, optional={"zone": st.sampled_from("xyz"), "disk": st.sampled_from(["ssd", "hdd"])}
    ),
    min_size=1,
    max_size=6,
).map(lambda all_labels: [node(f"n{i}", labels=labels) for i, labels in enumerate(all_labels)])

apps = st.sampled_from(["web", "db"])
selectors = st.one_of(
    apps.map(lambda app: {"matchLabels": {"app": app}}),
    apps.map(
        lambda app: {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": [app]}]}
    ),
    st.just({"matchExpressions": [{"key": "app", "operator": "Exists"}]}),
    st.just({}),
)
terms = st.fixed_dictionaries(
    {"topologyKey": st.sampled_from(KEYS), "labelSelector": selectors},
    optional={"namespaces": st.sampled_from([["default"], ["other"], ["default", "other"]])},
)
spreads = st.fixed_dictionaries(
    {
        "topologyKey": st.sampled_from(KEYS),
        "labelSelector": selectors,
        "maxSkew": st.integers(1, 2),
        "whenUnsatisfiable": st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]),
    },
    optional={"minDomains": st.integers(1, 4)},
)


@st.composite
def pods(draw):
    affinity = {}
    for kind in ("podAffinity", "podAntiAffinity"):
        if drawn := draw(st.lists(terms, max_size=2)):
            affinity[kind] = {REQUIRED: drawn}
    return {
        "namespace": draw(st.sampled_from(["default", "other"])),
        "labels": draw(st.sampled_from([{}, {"app": "web"}, {"app": "db"}])),
        "affinity": affinity,
        "topologySpreadConstraints": draw(st.lists(spreads, max_size=2)),
        "nodeSelector": draw(st.sampled_from([{}, {}, {"disk": "ssd"}])),
    }


@given(nodes, st.lists(pods(), min_size=1, max_size=8), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=200)
def test_the_columns_refuse_as_the_reference_does(cluster, shapes, random):
    table = table_of(*cluster)
    reference = {item.metadata.name: ReferenceNode(item) for item in cluster}
    for number, shape in enumerate(shapes):
        item = view(f"p{number}", **shape)
        compiled = candidate.from_pod(item)
        refused = {
            table.names[row]
            for plugin in (InterPodAffinity(), PodTopologySpread())
            for _, mask in plugin.refuse(compiled, table)
            for row in mask.nonzero()[0]
        }
        expected = {
            name
            for name, target in reference.items()
            if not neighbours_allow(list(reference.values()), target, item)
        }
        assert refused == expected
        # Placed anywhere, as if somebody had bound it past the scheduler; now and then it goes.
        where = random.choice(sorted(reference))
        table.place(compiled, where)
        reference[where].pods.append(item)
        if random.random() < 0.3:
            gone = reference[where].pods.pop(0)
            table.remove(gone.metadata.key)
