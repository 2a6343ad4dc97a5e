"""What our servers use of aiohttp's: not its applications, routes and files, which come along
with ``aiohttp.web`` and which every process would keep.
"""

from aiohttp.web_exceptions import HTTPException
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse, json_response
from aiohttp.web_server import Server
from aiohttp.web_ws import WebSocketResponse

__all__ = [
    "BaseRequest",
    "HTTPException",
    "Response",
    "Server",
    "StreamResponse",
    "WebSocketResponse",
    "json_response",
]
