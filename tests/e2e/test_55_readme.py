"""The calls that README shows are made as they stand there."""

import os
import re
import subprocess

from kit.cluster import TOP, Cluster

README = (TOP / "README.md").read_text()


def test_every_grpcurl_line_works(example: Cluster) -> None:
    pod = example.pods("app=nginx")[0]["metadata"]["name"]
    lines = re.findall(r"^grpcurl .*$", README, re.MULTILINE)
    assert len(lines) >= 7
    path = f"{TOP / '.venv/bin'}:{os.environ['PATH']}"
    for line in lines:
        done = subprocess.run(
            ["sh", "-c", line.replace('"POD"', f'"{pod}"')],
            cwd=example.run_directory,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, (line, done.stderr)
        assert done.stdout.strip() not in {"", "{}"}, line
