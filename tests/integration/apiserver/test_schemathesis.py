"""schemathesis reads our OpenAPI and asks what it allows: no 5xx, and no answer that breaks it.

Seeded, and bounded in time: ``FUZZ_SECONDS`` asks for longer, ``FUZZ_SEED`` for other requests.
"""

import base64
import itertools
import json
import os
import random
import time
from collections import Counter

import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from kit.definitions import crd
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

from pilothouse.ops.testing.control_plane import start
from pilothouse.services.apiserver.rest.openapi.operation import META

pytestmark = pytest.mark.filterwarnings("ignore")
SECONDS = float(os.environ.get("FUZZ_SECONDS", "30"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
EXAMPLES = 6
EXPECTED = (200, 201, 404, 422)
CHECKS = (not_a_server_error, response_schema_conformance)
# Watches and what is relayed to nodes do not end by themselves.
ENDLESS = {"watch", "watchlist", "connect"}
# Upstream says these two documents are texts, and clients' generated code is built on that.
TOLD_AS_TEXT = {"/.well-known/openid-configuration/", "/openid/v1/jwks/"}
# An event that was written as core/v1 has no such time: upstream shows null, against its schema.
TOLERATED = ('null is not of type "string"', f"{META}.MicroTime")
PATCHES = [
    [], {}, [{"op": "remove", "path": "/spec"}], [{"op": "test", "path": "", "value": 1}],
    [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}], {"spec": None}, {"spec": []},
    {"metadata": {"labels": {"a": "b"}}}, {"metadata": {"labels": [1]}}, {"metadata": None},
    {"spec": {"unknown": 1}}, {"status": {}}, {"data": {"a": 1}},
]  # fmt: skip


@pytest.fixture(scope="module")
def plane():
    with start() as found:
        found.kubectl("create", "-f", "-", text=json.dumps(crd()))
        found.kubectl("wait", "--for=condition=Established", "crd/crontabs.stable.example.com")
        yield found


@pytest.fixture(scope="module")
def session(plane, tmp_path_factory):
    """A session with the administrator's certificate, and where to."""
    folder = tmp_path_factory.mktemp("fuzz")
    config = yaml.safe_load(plane.kubeconfig.read_text())
    held = {**config["clusters"][0]["cluster"], **config["users"][0]["user"]}

    def file(name):
        if name in held:
            return held[name]
        path = folder / name
        path.write_bytes(base64.b64decode(held[f"{name}-data"]))
        return str(path)

    with requests.Session() as found:
        # The machine's own bundle of authorities must not stand in the place of ours.
        found.trust_env = False
        found.verify = file("certificate-authority")
        found.cert = (file("client-certificate"), file("client-key"))
        yield found


class Fuzz:
    """Asks, and remembers what was made, so that later requests find something."""

    def __init__(self, session, url):
        self.session, self.url = session, url
        self.made: dict[str, list[str]] = {}
        self.codes: Counter[int] = Counter()
        self.broken: list[str] = []
        self.dice = random.Random(SEED)  # noqa: S311 - a die

    def get(self, path):
        return self.session.get(self.url + path, timeout=30).json()

    def operations(self):
        """Every operation of every document, in an order of its own."""
        found = []
        for path in sorted(self.get("/openapi/v3")["paths"]):
            document = self.get(f"/openapi/v3/{path}")
            for item, operation in each_operation(document):
                content = operation.get("requestBody", {}).get("content", {})
                if "*/*" in content:
                    content["application/json"] = content.pop("*/*")
                if operation.get("x-kubernetes-action") in ENDLESS or item in TOLD_AS_TEXT:
                    del document["paths"][item][operation["method"]]
                operation.pop("method", None)
            schema = schemathesis.openapi.from_dict(document)
            found += [each.ok() for each in schema.get_all_operations()]
        self.dice.shuffle(found)
        return found

    def likely(self, case):
        """Mostly names that exist, and queries and bodies that get past the first look."""
        dice, method = self.dice, case.operation.method.upper()
        query = {} if dice.random() < 0.7 else dict(case.query or {})
        case.query = {key: query[key] for key in query if key not in ("watch", "follow")}
        collection = case.operation.path.split("/{name}")[0]
        names = dict(case.path_parameters or {})
        if "namespace" in names and dice.random() < 0.9:
            names["namespace"] = "default"
        if "name" in names and self.made.get(collection) and dice.random() < 0.9:
            names["name"] = dice.choice(self.made[collection])
        case.path_parameters = names
        if method in ("POST", "PUT") and isinstance(case.body, dict) and dice.random() < 0.8:
            named = {"generateName": "fuzz-"} if method == "POST" else {"name": names["name"]}
            left = {k: v for k, v in case.body.items() if k not in ("apiVersion", "kind")}
            case.body = {**left, "metadata": named}
        if method == "PATCH" and dice.random() < 0.7:
            case.body = dice.choice(PATCHES)

    def ask(self, case):
        self.likely(case)
        answer = case.call(
            base_url=self.url, session=self.session, verify=self.session.verify,
            cert=self.session.cert, timeout=30,
        )  # fmt: skip
        self.codes[answer.status_code] += 1
        if answer.status_code == 201 and "{name}" not in case.operation.path:
            name = answer.json().get("metadata", {}).get("name")
            self.made.setdefault(case.operation.path, []).append(name)
        # What is only marked for deletion is shown, where the schema knows but a Status.
        marked = case.operation.method.upper() == "DELETE" and answer.json()["kind"] != "Status"
        try:
            case.validate_response(answer, checks=CHECKS[:1] if marked else CHECKS)
        except BaseExceptionGroup as group:
            texts = [str(each) for each in group.exceptions]
            if all(part in text for text in texts for part in TOLERATED):
                return
            asked = f"{case.operation.label} {case.query} {case.body!r:.500}"
            self.broken.append(f"{asked}\n{answer.status_code} {texts[0][:1500]}")


def each_operation(document):
    for path, item in list(document["paths"].items()):
        for method in [key for key in item if key != "parameters"]:
            item[method]["method"] = method
            yield path, item[method]


def test_no_answer_is_a_failure_or_breaks_its_schema(plane, session):
    fuzz = Fuzz(session, plane.url)
    operations = fuzz.operations()
    assert len(operations) > 600
    until = time.monotonic() + SECONDS
    creates_first = sorted(operations, key=lambda each: each.method.upper() != "POST")
    rounds = itertools.chain(creates_first[:80], itertools.cycle(operations))
    for number, operation in enumerate(rounds):
        # A busy machine gets no further in that time than to the first creates.
        if time.monotonic() > until and all(fuzz.codes[code] for code in EXPECTED):
            break

        @seed(SEED + number)
        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def ask(case):
            fuzz.ask(case)

        ask()
    assert fuzz.broken == [], "\n\n".join(fuzz.broken[:5])
    assert "request failed" not in plane.log.read_text()
