"""These tests run on uvloop, as the services do: its sockets and pipes are not asyncio's own."""

import uvloop


def pytest_asyncio_loop_factories(config, item):
    return {"uvloop": uvloop.new_event_loop}
