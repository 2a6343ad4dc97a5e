"""The flags by which a manager stands for election."""

from pathlib import Path

import pytest

from pilothouse.services.controllers import config
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.leadership import Timing

SERVER = ["--server=unix:///api.sock", "--run-dir=/run/one"]


def test_a_manager_stands_unless_it_is_told_otherwise():
    contest = config.parse(SERVER).contest
    assert contest is not None
    assert contest.component == "kube-controller-manager"
    assert contest.lease == Key("kube-system", "kube-controller-manager")
    assert contest.timing == Timing(15.0, 10.0, 2.0)
    assert contest.mark == Path("/run/one/controllers.leader")
    assert config.parse([*SERVER, "--leader-elect=false"]).contest is None


def test_times_and_names_are_as_told():
    told = ["lease-duration=3s", "renew-deadline=2s", "retry-period=300ms"]
    told += ["resource-name=mine", "resource-namespace=there", "mark=/kept/mark"]
    contest = config.parse([*SERVER, *(f"--leader-elect-{flag}" for flag in told)]).contest
    assert contest is not None
    assert contest.timing == Timing(3.0, 2.0, 0.3)
    assert contest.lease == Key("there", "mine")
    assert contest.mark == Path("/kept/mark")


@pytest.mark.parametrize("flag", ["--leader-elect=perhaps", "--leader-elect-lease-duration=10s"])
def test_what_makes_no_sense_is_refused(flag):
    with pytest.raises(SystemExit):
        config.parse([*SERVER, flag])
