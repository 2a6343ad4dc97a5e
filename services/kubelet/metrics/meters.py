"""What the kubelet counts of itself; each attribute is one metric."""

from pilothouse.services.runtime.meters import Counter, Gauge, Histogram

_START_BOUNDS = (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600,
                 900, 1200, 1800, 2700, 3600)  # fmt: skip
_PULL_BOUNDS = (1, 5, 10, 20, 30, 60, 180, 300, 600, 900, 1200, 1800, 2700, 3600)
_RUNTIME_BOUNDS = (0.005, 0.0125, 0.03125, 0.078125, 0.1953125, 0.48828125, 1.220703125,
                   3.0517578125, 7.62939453125, 19.073486328125, 47.6837158203125,
                   119.20928955078125, 298.0232238769531, 745.0580596923828)  # fmt: skip
_HTTP = ("long_running", "method", "path", "server_type")


class RuntimeMeters:
    """What is asked of the container runtime and of the API server."""

    def __init__(self) -> None:
        self.runtime_operations = Counter(
            "kubelet_runtime_operations_total",
            "Cumulative number of runtime operations by operation type.", ("operation_type",),
        )  # fmt: skip
        self.runtime_errors = Counter(
            "kubelet_runtime_operations_errors_total",
            "Cumulative number of runtime operation errors by operation type.",
            ("operation_type",),
        )
        self.runtime_seconds = Histogram(
            "kubelet_runtime_operations_duration_seconds",
            "Duration in seconds of runtime operations.", ("operation_type",), _RUNTIME_BOUNDS,
        )  # fmt: skip
        self.requests = Counter(
            "rest_client_requests_total",
            "Number of requests to the API server, by status code, method, and host.",
            ("code", "host", "method"),
        )
        self.relist_seconds = Histogram(
            "kubelet_pleg_relist_duration_seconds", "Duration in seconds for relisting pods."
        )
        self.relist_interval = Histogram(
            "kubelet_pleg_relist_interval_seconds", "Interval in seconds between relistings.",
            bounds=(*(1, 5, 10, 15, 30, 60), 120.0),
        )  # fmt: skip
        self.relist_seen = Gauge(
            "kubelet_pleg_last_seen_seconds", "When pods were last listed, unix time."
        )


class PodMeters:
    """What becomes of pods."""

    def __init__(self) -> None:
        self.started_pods = Counter("kubelet_started_pods_total", "Sandboxes started.")
        self.started_pods_errors = Counter(
            "kubelet_started_pods_errors_total", "Sandboxes that could not be started.", ("code",)
        )
        self.started_containers = Counter(
            "kubelet_started_containers_total", "Containers started.", ("container_type",)
        )
        self.started_containers_errors = Counter(
            "kubelet_started_containers_errors_total", "Containers that could not be started.",
            ("code", "container_type"),
        )  # fmt: skip
        self.pod_start = Histogram(
            "kubelet_pod_start_duration_seconds",
            "From the kubelet seeing a pod for the first time to the pod running, in seconds.",
            bounds=_START_BOUNDS,
        )
        self.worker_seconds = Histogram(
            "kubelet_pod_worker_duration_seconds",
            "Duration in seconds to sync a single pod, by operation type.", ("operation_type",),
        )  # fmt: skip
        self.pull_seconds = Histogram(
            "kubelet_image_pull_duration_seconds", "Duration in seconds to pull an image.",
            ("image_size_in_bytes",), _PULL_BOUNDS,
        )  # fmt: skip
        self.evictions = Counter(
            "kubelet_evictions", "Cumulative number of pod evictions by eviction signal.",
            ("eviction_signal",),
        )  # fmt: skip


class ServerMeters:
    """What the kubelet's own server answers, and when the node was shut down."""

    def __init__(self) -> None:
        self.http_requests = Counter(
            "kubelet_http_requests_total",
            "Number of the http requests received since the server started", _HTTP,
        )  # fmt: skip
        self.http_seconds = Histogram(
            "kubelet_http_requests_duration_seconds",
            "Duration in seconds to serve http requests", _HTTP,
        )  # fmt: skip
        self.http_inflight = Gauge(
            "kubelet_http_inflight_requests", "Number of the inflight http requests", _HTTP
        )
        self.shutdown_started = Gauge(
            "kubelet_graceful_shutdown_start_time_seconds",
            "Last graceful shutdown start time since unix epoch in seconds",
        )
        self.shutdown_ended = Gauge(
            "kubelet_graceful_shutdown_end_time_seconds",
            "Last graceful shutdown end time since unix epoch in seconds",
        )


class Meters(RuntimeMeters, PodMeters, ServerMeters):
    """All of one kubelet."""

    def __init__(self) -> None:
        RuntimeMeters.__init__(self)
        PodMeters.__init__(self)
        ServerMeters.__init__(self)


class ProbeMeters:
    """What ``/metrics/probes`` shows."""

    def __init__(self) -> None:
        self.total = Counter(
            "prober_probe_total",
            "Cumulative number of liveness, readiness and startup probes by container and result.",
            ("container", "namespace", "pod", "pod_uid", "probe_type", "result"),
        )
        self.seconds = Histogram(
            "prober_probe_duration_seconds", "Duration in seconds for a probe response.",
            ("container", "namespace", "pod", "probe_type"),
        )  # fmt: skip
