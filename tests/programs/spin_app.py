"""The hello-world and outgoing-HTTP apps of Spin's Python SDK in one, as its documentation writes them."""

from urllib import parse

from componentize_py_types import Err
from spin_sdk import http, variables
from spin_sdk.http import Request, Response, send


class HttpHandler(http.Handler):
    async def handle_request(self, request: Request) -> Response:
        url = parse.urlparse(request.uri)
        match url.path:
            case "/hello":
                return text(200, "Hello from Python!")
            case "/variable":
                return await variable(url.query)
            case "/send":
                return await fetch(parse.unquote(url.query))
            case "/short":
                return Response(200, {"content-length": "9"}, b"short")
            case _:
                return text(404, "nothing here")


async def variable(name: str) -> Response:
    try:
        return text(200, await variables.get(name))
    except Err as error:
        return text(404, repr(error.value))


async def fetch(url: str) -> Response:
    try:
        response = await send(Request("GET", url, {}, None))
        return text(response.status, str(response.body, "utf-8"))
    except Err as error:
        return text(502, type(error.value).__name__)


def text(status: int, body: str) -> Response:
    return Response(status, {"content-type": "text/plain"}, bytes(body, "utf-8"))
