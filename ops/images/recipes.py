"""What is in each image, and why it starts the way it does."""

import subprocess
from pathlib import Path

from pilothouse.ops.images.archive import Content, Directory, File, Image, Link, layer
from pilothouse.ops.images.debian import libraries, unpack

PAUSE = "pilothouse.local/pause:1"
REGISTRY = "docker.io/library"
NGINX_PACKAGES = (
    "nginx",
    "nginx-common",
    "libc6",
    "libcrypt1",
    "libpcre2-8-0",
    "libssl3",
    "zlib1g",
)
# The same Debian nginx under three tags, told apart by the header X-Image-Version.
NGINX_VERSIONS = ("1.7.9", "1.29", "latest")

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
GROUP = b"root:x:0:\nnogroup:x:65534:\n"

# nginx closes its sockets the moment it is told to quit, while other nodes may still send to this
# pod. The entry point waits until they have heard that the pod is going.
ENTRYPOINT = b"""#!/bin/sh
nginx -g 'daemon off;' &
nginx=$!
trap 'sleep 1; kill -QUIT $nginx' QUIT TERM INT
wait $nginx
status=$?
while kill -0 $nginx 2>/dev/null; do wait $nginx; status=$?; done
exit $status
"""

NGINX_CONFIGURATION = """user nobody nogroup;
worker_processes 1;
pid /tmp/nginx.pid;
error_log /dev/stderr notice;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log /dev/stdout combined;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  server {
    listen 80;
    root /usr/share/nginx/html;
    add_header X-Served-By $hostname always;
    add_header X-Image-Version "@VERSION@" always;
    location = /hostname { default_type text/plain; return 200 "$hostname\\n"; }
  }
}
"""


def pause() -> Image:
    """The process that holds a pod's namespaces and reaps its orphans."""
    tar = layer([File("pause", Path("/usr/bin/catatonit").read_bytes(), 0o755)])
    return Image((PAUSE,), (tar,), ("/pause", "-P"))


def busybox_layer() -> bytes:
    """A static busybox under /bin with a link for each applet, and the files it expects."""
    binary = Path("/bin/busybox")
    applets = subprocess.run([binary, "--list"], capture_output=True, text=True, check=True).stdout
    contents: list[Content] = [
        File("bin/busybox", binary.read_bytes(), 0o755),
        File("etc/passwd", PASSWD),
        File("etc/group", GROUP),
        Directory("root", 0o700),
        Directory("tmp", 0o1777),
    ]
    contents += [Link(f"bin/{name}", "busybox") for name in applets.split() if name != "busybox"]
    return layer(contents)


def busybox(base: bytes) -> Image:
    """Debian's static busybox."""
    return Image((f"{REGISTRY}/busybox:latest",), (base,), arguments=("sh",))


def nginx(base: bytes, cache: Path) -> list[Image]:
    """Debian's nginx on top of busybox, one image a version."""
    root = unpack(NGINX_PACKAGES, cache)
    binary = root / "usr/sbin/nginx"
    contents: list[Content] = [
        File("usr/sbin/nginx", binary.read_bytes(), 0o755),
        File("etc/nginx/mime.types", (root / "etc/nginx/mime.types").read_bytes()),
        File("entrypoint", ENTRYPOINT, 0o755),
        # nginx opens its compiled-in log before it reads the configuration.
        Directory("var/log/nginx"),
        Directory("var/lib/nginx"),
        *libraries(root, binary),
    ]
    program = layer(contents)
    return [_nginx_version(version, base, program) for version in NGINX_VERSIONS]


def _nginx_version(version: str, base: bytes, program: bytes) -> Image:
    page = f"<!DOCTYPE html>\n<title>nginx {version}</title>\n<h1>Welcome to nginx!</h1>\n"
    settings = layer(
        [
            File(
                "etc/nginx/nginx.conf", NGINX_CONFIGURATION.replace("@VERSION@", version).encode()
            ),
            File("usr/share/nginx/html/index.html", page.encode()),
        ]
    )
    return Image(
        (f"{REGISTRY}/nginx:{version}",),
        (base, program, settings),
        ("/entrypoint",),
        stop_signal="SIGQUIT",
        ports=("80/tcp",),
        labels={"org.opencontainers.image.version": version},
    )
