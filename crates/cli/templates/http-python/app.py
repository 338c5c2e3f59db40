"""Answers HTTP requests."""

from spin_sdk import http
from spin_sdk.http import Request, Response


class HttpHandler(http.Handler):
    async def handle_request(self, request: Request) -> Response:
        text = f"Hello from Python! You asked for {request.uri}\n"
        return Response(200, {"content-type": "text/plain"}, text.encode())
