"""A control plane for the tests of those who write operators and controllers.

Install pilothouse where pytest runs, and ask for a fixture; nothing else is set up:

    def test_operator(control_plane):
        config.load_kube_config(str(control_plane.kubeconfig))
        ...

It is the real API server, controllers and scheduler on a store in memory, in one process beside
the test's, on a free port of 127.0.0.1. It needs no root and no containers. It ends with the test's
process, however that ends, and leaves nothing behind.

Without nodes, which is the default, pods stay Pending. With simulated ones they are scheduled, run
at once, get addresses, pass their probes, end when they are deleted; those of Jobs complete. The
ini option ``control_plane_nodes = 3`` gives that many, or a fixture of the same name that a test
suite defines in place of ours:

    @pytest.fixture(scope="session")
    def control_plane_nodes():
        return 3

    plugin ──▶ control_plane.start ──▶ a child: python -m pilothouse.ops.testing ──▶ serving

Without pytest: ``with pilothouse.ops.testing.control_plane.start(nodes=3) as plane: …``.
"""
