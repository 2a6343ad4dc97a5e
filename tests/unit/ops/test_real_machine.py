"""What ``server`` and ``join`` write on a real machine."""

import subprocess
from pathlib import Path

import pytest

from pilothouse.ops.cli import join, machine


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, place in {
        "DEFAULTS": "default", "SYSTEM_UNITS": "system", "STATE": "state", "RUN": "run",
        "PKI": "pki",
    }.items():  # fmt: skip
        monkeypatch.setattr(machine, name, tmp_path / place)
    return tmp_path


def test_settings_are_for_a_shell_too(etc: Path) -> None:
    flags = ["--server=192.0.2.10:6444", "--etcd-servers=http://[2001:db8::1]:2379", "--name=a*"]
    machine.install("proxy", flags)
    script = f". {etc}/default/pilothouse-proxy; set -f; printf '%s\\n' $PILOTHOUSE_FLAGS"
    shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert shell.stdout.splitlines() == flags


@pytest.mark.parametrize("flag", ["--a=b c", "--a='b'", '--a="b"', "--a=$b", "--a=`b`", "--a=\\b"])
def test_a_flag_that_would_come_back_different_is_refused(flag: str) -> None:
    with pytest.raises(ValueError, match="blanks or quotes"):
        machine.settings(["--first=1", flag])


def test_state_is_roots_alone(etc: Path) -> None:
    (etc / "state").mkdir(mode=0o755)
    machine.install("kubelet", [])
    assert (etc / "state").stat().st_mode & 0o777 == 0o700
    assert (etc / "run").stat().st_mode & 0o777 == 0o711


def test_only_what_it_is_made_of_is_seen_of_homes() -> None:
    places = [Path("/root/.pyenv/versions/3"), Path("/opt/pilothouse"), Path("/tmp/b")]
    lines = machine.home_exception(places).splitlines()
    assert lines == [
        "[Service]",
        "ProtectHome=tmpfs",
        "BindReadOnlyPaths=/root/.pyenv/versions/3 /tmp/b",
    ]
    assert machine.home_exception([Path("/opt/pilothouse"), Path("/rooted")]) == ""


def test_the_exception_goes_with_its_reason(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop_in = etc / "system" / "pilothouse-apiserver.service.d" / "home.conf"
    monkeypatch.setattr(machine, "HIDDEN", ("/",))
    machine.install("apiserver", [])
    assert "BindReadOnlyPaths=/" in drop_in.read_text()
    monkeypatch.setattr(machine, "HIDDEN", ("/nowhere",))
    machine.install("apiserver", [])
    assert not drop_in.exists()


def test_join_names_what_is_missing(etc: Path) -> None:
    with pytest.raises(SystemExit, match="pki node"):
        join.main(["--server", "192.0.2.10", "--from-dir", str(etc)])


def test_every_unit_is_tried_for_ever() -> None:
    for unit in machine.UNITS.glob("*.service"):
        assert "StartLimitIntervalSec=0" in unit.read_text(), unit.name
