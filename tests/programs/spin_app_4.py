"""An app of Spin's Python SDK 4, which is a component of a release candidate of WASI 0.3."""

from urllib import parse

from componentize_py_types import Err
from spin_sdk import http, variables
from spin_sdk.http import Request, Response, send


class HttpHandler(http.Handler):
    async def handle_request(self, request: Request) -> Response:
        url = parse.urlparse(request.uri)
        match url.path:
            case "/":
                return text(200, "Hello from Python!")
            case "/variable":
                return text(200, await variables.get(url.query))
            case "/echo":
                print(request.uri)
                word = request.headers.get("x-word", "-")
                return text(201, f"{request.method} {word} {request.body.decode()}")
            case "/send":
                return await fetch(parse.unquote(url.query))
            case _:
                return text(404, "nothing here")


async def fetch(url: str) -> Response:
    try:
        answer = await send(Request("GET", url, {}, None))
        return text(answer.status, answer.body.decode())
    except Err as error:
        return text(502, type(error.value).__name__)


def text(status: int, body: str) -> Response:
    return Response(status, {"content-type": "text/plain"}, body.encode())
