"""Definitions to try things on."""

import asyncio

import pytest
from kit.definitions import crd


@pytest.fixture
def define(client):
    async def define(**spec):
        body = crd(**spec)
        await client.create("apiextensions.k8s.io/customresourcedefinitions", body)
        async with asyncio.timeout(5):
            while True:
                found = await client.get(
                    "apiextensions.k8s.io/customresourcedefinitions", body["metadata"]["name"]
                )
                conditions = (found.get("status") or {}).get("conditions") or ()
                if any(c["type"] == "NamesAccepted" for c in conditions):
                    return found
                await asyncio.sleep(0.005)

    return define
