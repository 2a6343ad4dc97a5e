"""How many EndpointSlices there are, and how many there would be if all were full."""

from pilothouse.services.controllers.adapters.network.slicemeasures import PREFIX, Measures
from pilothouse.services.machinery.kinds import endpoints, services
from pilothouse.services.machinery.kinds.services import Endpoint, EndpointPort, EndpointSlice
from pilothouse.services.machinery.objects import Metadata


class Slices(list):
    def values(self):
        return self


def slice_(service, many, *, port=80, by=endpoints.SLICE_CONTROLLER):
    labels = {services.SERVICE_NAME: service, services.MANAGED_BY: by}
    return EndpointSlice(
        metadata=Metadata(name="s", namespace="ns", labels=labels),
        endpoints=(Endpoint(),) * many,
        ports=(EndpointPort(port=port),),
    )


def test_slices_and_endpoints_are_counted_when_somebody_asks():
    found = Slices([slice_("web", 3), slice_("web", 4), slice_("web", 1, port=81), slice_("db", 0)])
    measures = Measures(found, 5)
    found.append(slice_("other", 9, by="somebody"))
    measures.changes["update"] += 2
    told = {family.name.removeprefix(PREFIX): family.samples for family in measures.families()}
    assert told["num_endpoint_slices"][0][2] == 4
    assert told["desired_endpoint_slices"][0][2] == 4
    assert told["endpoints_desired"][0][2] == 8
    assert [sample[1:3] for sample in told["changes"]] == [
        ((("operation", "create"),), 0),
        ((("operation", "delete"),), 0),
        ((("operation", "update"),), 2),
    ]
