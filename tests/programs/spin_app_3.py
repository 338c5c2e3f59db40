"""An app of Spin's Python SDK 3, which is a component of WASI 0.2."""

from urllib import parse

from spin_sdk import http
from spin_sdk.http import Request, Response, send
from spin_sdk.wit.types import Err


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        url = parse.urlparse(request.uri)
        asked = dict(parse.parse_qsl(url.query))
        match url.path:
            case "/fetch":
                return Response(200, {}, bytes(told(asked), "utf-8"))
            case "/status":
                return Response(int(asked["status"]), {}, b"a body")
            case _:
                return Response(404, {}, b"nothing here")


def told(asked: dict) -> str:
    """What was answered to a request, as every app that is asked to send one tells it."""
    body = bytes(asked["body"], "utf-8") if "body" in asked else None
    try:
        response = send(Request(asked["method"], asked["url"], {}, body))
        return f"{response.status} {response.body.decode()}"
    except Err as error:
        return type(error.value).__name__
    except Exception as error:
        return repr(error)
