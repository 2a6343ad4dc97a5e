"""The server's version."""

from kit.official import Official
from kit.syllabus import line


@line("apimachinery/server_version.go", "server version")
def test_major_and_minor_are_numbers(client: Official) -> None:
    version = client.raw("GET", "/version").json
    assert version["major"].isdecimal()
    assert version["minor"].isdecimal()
