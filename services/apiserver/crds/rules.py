"""The rules of CustomResourceDefinitions themselves."""

from typing import Any

from pilothouse.services.machinery.errors import Cause

Document = dict[str, Any]


def check(body: Document) -> list[Cause]:
    """What is wrong with a new definition."""
    return []


def check_update(body: Document, old: Document) -> list[Cause]:
    """What is wrong with a changed one."""
    return []


def check_status(body: Document, old: Document) -> list[Cause]:
    """What is wrong with a written status."""
    return []
