"""Writes bodies on plain WASI 0.2: slowly, in pieces, more or less than they should be, and without end."""

from urllib import parse

from componentize_py_types import Err, Ok
from wit_world.imports import monotonic_clock, outgoing_handler
from wit_world.imports.types import (
    Fields,
    IncomingRequest,
    Method_Other,
    OutgoingBody,
    OutgoingRequest,
    OutgoingResponse,
    ResponseOutparam,
    Scheme_Http,
    http_error_code,
)
from wit_world.imports.streams import StreamError_LastOperationFailed


class IncomingHandler:
    def handle(self, request: IncomingRequest, out: ResponseOutparam) -> None:
        url = parse.urlparse(request.path_with_query())
        asked = dict(parse.parse_qsl(url.query))
        if url.path.endswith("/respond"):
            return respond(asked, out)
        text = bytes(send(asked), "utf-8")
        response = OutgoingResponse(Fields())
        body = response.body()
        ResponseOutparam.set(out, Ok(response))
        write(body, [text])
        OutgoingBody.finish(body, None)


def respond(asked: dict, out: ResponseOutparam) -> None:
    response = OutgoingResponse(fields(asked))
    response.set_status_code(int(asked["status"]))
    if "bare" in asked:
        return ResponseOutparam.set(out, Ok(response))
    body = response.body()
    ResponseOutparam.set(out, Ok(response))
    written = write(body, pieces(asked))
    print(f"response {asked['n']} of 0.2: {written}, {finish(body)}", flush=True)


def send(asked: dict) -> str:
    url = parse.urlparse(asked["url"])
    request = OutgoingRequest(fields(asked))
    request.set_method(Method_Other(asked.get("method", "POST")))
    request.set_scheme(Scheme_Http())
    request.set_authority(url.netloc)
    request.set_path_with_query(url.path or None)
    if "bare" in asked:
        try:
            return f"{answer(outgoing_handler.handle(request, None))}, bare"
        except Err as error:
            return f"{type(error.value).__name__}, bare"
    body = request.body()
    future = outgoing_handler.handle(request, None)
    answered = None
    if "after" in asked:
        answered = answer(future)
    written = write(body, pieces(asked))
    finished = finish(body)
    return f"{answered or answer(future)}, {written}, {finished}"


def fields(asked: dict) -> Fields:
    if "length" not in asked:
        return Fields()
    return Fields.from_list([("content-length", bytes(asked["length"], "utf-8"))])


def pieces(asked: dict):
    if "endless" in asked:
        while True:
            yield b"x" * 4096
    for piece in asked.get("pieces", "").split("."):
        yield bytes(piece, "utf-8")
        # Whoever reads has stopped by then, if he does.
        monotonic_clock.subscribe_duration(50_000_000).block()


def write(body: OutgoingBody, pieces) -> str:
    with body.write() as stream:
        try:
            for piece in pieces:
                stream.blocking_write_and_flush(piece)
            return "written"
        except Err as error:
            return type(error.value).__name__


def finish(body: OutgoingBody) -> str:
    try:
        OutgoingBody.finish(body, None)
        return "finished"
    except Err as error:
        return type(error.value).__name__


def answer(future) -> str:
    future.subscribe().block()
    try:
        response = taken(future.get())
    except Err as error:
        return type(error.value).__name__
    text = b""
    body = response.consume()
    with body.stream() as stream:
        try:
            while True:
                text += stream.blocking_read(4096)
        except Err as error:
            if isinstance(error.value, StreamError_LastOperationFailed):
                return f"{response.status()} {type(http_error_code(error.value.value)).__name__}"
    return f"{response.status()} {text.decode()}"


def taken(got):
    """The response, or the error that is in there instead."""
    while isinstance(got, Ok):
        got = got.value
    if isinstance(got, Err):
        raise got
    return got
