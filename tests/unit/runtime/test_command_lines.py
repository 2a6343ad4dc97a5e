"""Command lines that were written for Kubernetes' components."""

import base64
import stat

import pytest
import yaml

from pilothouse.ops.pki import kubeconfig
from pilothouse.ops.pki.authority import Authority
from pilothouse.ops.pki.plan import Certificate
from pilothouse.services.controllers import config as controllers
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.scheduler import config as scheduler

SERVER = ["--server=unix:///api.sock"]
# As kubeadm writes them.
MANAGER = """
--allocate-node-cidrs=true --authentication-kubeconfig=/etc/kubernetes/controller-manager.conf
--authorization-kubeconfig=/etc/kubernetes/controller-manager.conf --bind-address=127.0.0.1
--cluster-cidr=10.244.0.0/16 --cluster-name=kubernetes --controllers=*,bootstrapsigner,tokencleaner
--leader-elect=true --requestheader-client-ca-file=/etc/kubernetes/pki/front-proxy-ca.crt
--service-account-private-key-file=/etc/kubernetes/pki/sa.key
--service-cluster-ip-range=10.96.0.0/12 --use-service-account-credentials=true -v=2
"""
NAMED = "current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}]"
SCHEDULER = """
--authentication-kubeconfig=/etc/kubernetes/scheduler.conf --bind-address=127.0.0.1
--authorization-kubeconfig=/etc/kubernetes/scheduler.conf --leader-elect=true --v=4
--kube-api-qps=50 --kube-api-burst=100 --profiling=false --feature-gates=A=true,B=false
"""


@pytest.fixture
def pki(tmp_path):
    authority = Authority.open(tmp_path / "pki", SystemClock())
    authority.ensure(Certificate("controllers", "system:kube-controller-manager"))
    return tmp_path / "pki"


@pytest.mark.parametrize("told", [["--kubeconfig"], ["--kubeconfig", "--master"]])
def test_kubeadms_command_line_is_taken_as_it_is(tmp_path, pki, told):
    path = tmp_path / "controller-manager.conf"
    kubeconfig.write(path, cluster="c", server="https://[fd00::1]:6443/", pki=pki,
                     stem="controllers")  # fmt: skip
    values = {"--kubeconfig": path, "--master": "https://elsewhere:1"}
    flags = [f"{name}={values[name]}" for name in told]
    found = controllers.parse([*MANAGER.split(), f"--run-dir={tmp_path}", *flags])
    assert found.server == "[fd00::1]:6444"
    assert found.settings.server.url == (
        "https://elsewhere:1" if "--master" in told else "https://[fd00::1]:6443"
    )
    assert {"bootstrapsigner", "tokencleaner", "nodeipam"} <= found.controllers
    identity = found.identity
    assert identity.certificate.read_bytes() == (pki / "controllers.crt").read_bytes()
    assert identity.authority.read_bytes() == (pki / "ca.crt").read_bytes()
    assert stat.S_IMODE(identity.key.stat().st_mode) == 0o600
    assert found.pages.flags["cluster-name"] == "kubernetes"


def test_files_are_found_beside_the_kubeconfig(tmp_path, pki):
    path = pki / "one.conf"
    path.write_text(yaml.safe_dump({
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://1.2.3.4",
                                               "certificate-authority": "ca.crt"}}],
        "users": [{"name": "u", "user": {"client-certificate": "controllers.crt",
                                         "client-key": str(pki / "controllers.key")}}],
    }))  # fmt: skip
    found = scheduler.parse([*SCHEDULER.split(), f"--kubeconfig={path}", f"--run-dir={tmp_path}"])
    assert found.server == "1.2.3.4:6444"
    assert found.identity.certificate == pki / "controllers.crt"
    assert found.log_level == "debug"


@pytest.mark.parametrize(
    "text",
    [
        "- 1", "{", "current-context: x",
        f"{{{NAMED}, clusters: [{{name: c, cluster: {{}}}}], users: [{{name: u}}]}}",
        f"{{{NAMED}, clusters: [{{name: c, cluster: {{server: 'https://h'}}}}], "
        "users: [{name: u, user: {token: t}}]}",
    ],
)  # fmt: skip
def test_a_kubeconfig_that_leads_nowhere_is_refused(tmp_path, text, capsys):
    path = tmp_path / "bad.conf"
    path.write_text(text)
    with pytest.raises(SystemExit):
        scheduler.parse([f"--kubeconfig={path}", f"--run-dir={tmp_path}"])
    assert f"--kubeconfig={path}" in capsys.readouterr().err


def test_somewhere_must_be_an_api_server(capsys):
    with pytest.raises(SystemExit):
        controllers.parse([])
    assert "--server or --kubeconfig" in capsys.readouterr().err


@pytest.mark.parametrize("component", [controllers, scheduler])
def test_flags_without_effect_say_why(component, capsys):
    with pytest.raises(SystemExit):
        component.parse(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    for flag in ("--kube-api-qps", "--feature-gates", "--profiling", "--tls-cipher-suites"):
        group = told[: told.rindex(flag)].rpartition("taken without effect: ")[2]
        assert len(group.split()) > 3, flag


@pytest.mark.parametrize("component", [controllers, scheduler])
def test_the_version_is_told_in_kubernetes_words(component, capsys):
    with pytest.raises(SystemExit) as ended:
        component.parse(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "Kubernetes v1.37.0\n"


def test_switches_that_turn_controllers_off():
    told = [*SERVER, "--cluster-cidr=10.0.0.0/8"]
    assert controllers.parse(told).settings.cluster_cidr
    assert controllers.parse([*told, "--allocate-node-cidrs=false"]).settings.cluster_cidr is None
    assert "garbagecollector" in controllers.parse(told).controllers
    off = controllers.parse([*told, "--enable-garbage-collector=false"])
    assert "garbagecollector" not in off.controllers


def test_each_signer_may_have_files_of_its_own(tmp_path, pki, capsys):
    one = [f"--cluster-signing-kubelet-serving-{part}-file={pki}/ca.{end}"
           for part, end in (("cert", "crt"), ("key", "key"))]  # fmt: skip
    signing = controllers.parse([*SERVER, *one]).settings.signing
    assert set(signing) == {"kubernetes.io/kubelet-serving"}
    assert signing["kubernetes.io/kubelet-serving"].certificate == (pki / "ca.crt").read_text()
    every = [flag.replace("kubelet-serving-", "") for flag in one]
    assert len(controllers.parse([*SERVER, *every]).settings.signing) == 4
    for wrong in ([*every, *one], one[:1]):
        with pytest.raises(SystemExit):
            controllers.parse([*SERVER, *wrong])
        assert "--cluster-signing-kubelet-serving" in capsys.readouterr().err


def test_data_in_a_kubeconfig_is_base64(tmp_path, pki):
    path = tmp_path / "admin.conf"
    kubeconfig.write(path, cluster="c", server="https://h:1", pki=pki, stem="controllers")
    text = path.read_text().replace(base64.b64encode(b"-----").decode()[:4], "~~~~")
    path.write_text(text)
    with pytest.raises(SystemExit):
        scheduler.parse([f"--kubeconfig={path}", f"--run-dir={tmp_path}"])
