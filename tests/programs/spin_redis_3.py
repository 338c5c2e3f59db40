"""The same as spin_redis.py for Spin's Python SDK 3, whose interface is the synchronous one of version 2."""

from urllib import parse

from spin_sdk import http, redis
from spin_sdk.http import Request, Response
from spin_sdk.wit.imports import redis as wit
from spin_sdk.wit.types import Err


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        asked = dict(parse.parse_qsl(parse.urlparse(request.uri).query))
        said = "\n".join(told(asked["address"], asked["do"].split(";")))
        return Response(200, {"content-type": "text/plain"}, bytes(said, "utf-8"))


def told(address: str, statements: list[str]) -> list[str]:
    try:
        connection = redis.open(address)
    except Err as error:
        return [shown(error.value)]
    with connection:
        return [said(connection, statement.split()) for statement in statements]


def said(connection: wit.Connection, words: list[str]) -> str:
    try:
        return str(do(connection, words))
    except Err as error:
        return shown(error.value)


def do(connection: wit.Connection, words: list[str]):
    match words:
        case ["get", key]:
            value = connection.get(key)
            return value if value is None else value.decode()
        case ["length", key]:
            return len(connection.get(key))
        case ["set", key, value]:
            return connection.set(key, value.encode())
        case ["fill", key, length]:
            return connection.set(key, bytes(int(length)))
        case ["incr", key]:
            return connection.incr(key)
        case ["del", *keys]:
            return connection.del_(keys)
        case ["sadd", key, *values]:
            return connection.sadd(key, values)
        case ["smembers", key]:
            return sorted(connection.smembers(key))
        case ["srem", key, *values]:
            return connection.srem(key, values)
        case ["publish", channel, payload]:
            return connection.publish(channel, payload.encode())
        case ["execute", command, *arguments]:
            values = connection.execute(command, [argument(text) for text in arguments])
            return [plain(one) for one in values]


def argument(text: str) -> wit.RedisParameter:
    if text.startswith("#"):
        return wit.RedisParameter_Int64(int(text[1:]))
    return wit.RedisParameter_Binary(text.encode())


def plain(one: wit.RedisResult):
    match one:
        case wit.RedisResult_Nil():
            return None
        case wit.RedisResult_Status(text):
            return text
        case wit.RedisResult_Int64(number):
            return number
        case wit.RedisResult_Binary(data):
            return data.decode()


def shown(error: wit.Error) -> str:
    match error:
        case wit.Error_InvalidAddress():
            return "invalid-address"
        case wit.Error_TooManyConnections():
            return "too-many-connections"
        case wit.Error_TypeError():
            return "type-error"
        case wit.Error_Other(text):
            return f"other: {text}"
