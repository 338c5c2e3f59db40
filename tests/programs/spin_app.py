"""The hello-world, outgoing-HTTP and key-value apps of Spin's Python SDK in one, as its documentation writes them."""

from urllib import parse

import componentize_py_async_support
from componentize_py_types import Err
from spin_sdk import http, key_value, llm, util, variables, wit
from spin_sdk.http import Request, Response, send
from spin_sdk.wit.imports import wasi_clocks_monotonic_clock_0_3_0 as clock
from spin_sdk.wit.imports import wasi_http_client_0_3_0 as client
from spin_sdk.wit.imports import wasi_http_types_0_3_0 as wasi


class HttpHandler(http.Handler):
    async def handle(self, request: wasi.Request) -> wasi.Response:
        url = parse.urlparse(request.get_path_with_query())
        if url.path == "/respond":
            return respond(dict(parse.parse_qsl(url.query)))
        return await super().handle(request)

    async def handle_request(self, request: Request) -> Response:
        url = parse.urlparse(request.uri)
        match url.path:
            case "/hello":
                return text(200, "Hello from Python!")
            case "/variable":
                return await variable(url.query)
            case "/count":
                return await count(url.query)
            case "/keys":
                with await key_value.open_default() as store:
                    return text(200, ",".join(await util.collect(await store.get_keys())))
            case "/open":
                return await opened(url.query)
            case "/send":
                return await fetch(parse.unquote(url.query))
            case "/fetch":
                return text(200, await told(dict(parse.parse_qsl(url.query))))
            case "/infer":
                return infer(dict(parse.parse_qsl(url.query)))
            case "/embed":
                return embed(dict(parse.parse_qsl(url.query)))
            case "/status":
                return Response(int(dict(parse.parse_qsl(url.query))["status"]), {}, b"a body")
            case "/write":
                return text(200, await write_request(dict(parse.parse_qsl(url.query))))
            case "/short":
                return Response(200, {"content-length": "9"}, b"short")
            case _:
                return text(404, "nothing here")


async def variable(name: str) -> Response:
    try:
        return text(200, await variables.get(name))
    except Err as error:
        return text(404, repr(error.value))


async def count(name: str) -> Response:
    with await key_value.open_default() as store:
        before = await store.get(name)
        number = int(before) + 1 if before else 1
        await store.set(name, bytes(str(number), "utf-8"))
        return text(200, str(number))


async def opened(label: str) -> Response:
    try:
        with await key_value.open(label):
            return text(200, "opened")
    except Err as error:
        return text(403, type(error.value).__name__)


async def fetch(url: str) -> Response:
    try:
        response = await send(Request("GET", url, {}, None))
        return text(response.status, str(response.body, "utf-8"))
    except Err as error:
        return text(502, type(error.value).__name__)


async def told(asked: dict) -> str:
    """What was answered to a request, as every app that is asked to send one tells it."""
    body = bytes(asked["body"], "utf-8") if "body" in asked else None
    try:
        response = await send(Request(asked["method"], asked["url"], {}, body))
        return f"{response.status} {response.body.decode()}"
    except Err as error:
        return type(error.value).__name__
    except Exception as error:
        return repr(error)


def infer(asked: dict) -> Response:
    chosen = {"temperature": float(asked["temperature"])} if "temperature" in asked else {}
    try:
        options = llm.InferencingParams(**chosen)
        result = llm.infer_with_options(asked["model"], asked["prompt"], options)
    except Err as error:
        return text(502, repr(error.value))
    usage = result.usage
    return text(200, f"{result.text} ({usage.prompt_token_count}+{usage.generated_token_count})")


def embed(asked: dict) -> Response:
    try:
        result = llm.generate_embeddings(asked["model"], asked["texts"].split("."))
    except Err as error:
        return text(502, repr(error.value))
    return text(200, f"{result.embeddings} ({result.usage.prompt_token_count})")


def text(status: int, body: str) -> Response:
    return Response(status, {"content-type": "text/plain"}, bytes(body, "utf-8"))


# What follows writes bodies on plain WASI 0.3, as writer.py does on 0.2.


def respond(asked: dict) -> wasi.Response:
    if "bare" in asked:
        response = wasi.Response.new(fields(asked), None, http._trailers_future())[0]
        response.set_status_code(int(asked["status"]))
        return response
    tx, rx = wit.byte_stream()

    async def write_and_tell():
        print(f"response {asked['n']} of 0.3: {await write(tx, asked)}", flush=True)

    componentize_py_async_support.spawn(write_and_tell())
    response = wasi.Response.new(fields(asked), rx, http._trailers_future())[0]
    response.set_status_code(int(asked["status"]))
    return response


async def write_request(asked: dict) -> str:
    url = parse.urlparse(asked["url"])
    tx, rx = (None, None) if "bare" in asked else wit.byte_stream()
    request = wasi.Request.new(fields(asked), rx, http._trailers_future(), None)[0]
    request.set_method(wasi.Method_Other(asked.get("method", "POST")))
    request.set_scheme(wasi.Scheme_Http())
    request.set_authority(url.netloc)
    request.set_path_with_query(url.path or None)
    if "bare" in asked:
        return f"{await answer(request)}, bare"
    if "after" in asked:
        answered = await answer(request)
        return f"{answered}, {await write(tx, asked)}"
    written = []

    async def write_and_note():
        written.append(await write(tx, asked))

    componentize_py_async_support.spawn(write_and_note())
    answered = await answer(request)
    while not written:
        await clock.wait_for(10_000_000)
    return f"{answered}, {written[0]}"


def fields(asked: dict) -> wasi.Fields:
    if "length" not in asked:
        return wasi.Fields()
    return wasi.Fields.from_list([("content-length", bytes(asked["length"], "utf-8"))])


async def write(tx, asked: dict) -> str:
    with tx:
        while "endless" in asked:
            await tx.write_all(b"x" * 4096)
        for piece in asked.get("pieces", "").split("."):
            await tx.write_all(bytes(piece, "utf-8"))
            if tx.reader_dropped:
                return "dropped"
            # Whoever reads has stopped by then, if he does.
            await clock.wait_for(50_000_000)
    return "written"


async def answer(request: wasi.Request) -> str:
    try:
        response = await client.send(request)
    except Err as error:
        return type(error.value).__name__
    status = response.get_status_code()
    rx, trailers = wasi.Response.consume_body(response, http._unit_future())
    body = b""
    with rx:
        while not rx.writer_dropped:
            body += await rx.read(4096)
    ended = await trailers.read()
    if isinstance(ended, Err):
        return f"{status} {type(ended.value).__name__}"
    return f"{status} {body.decode()}"
