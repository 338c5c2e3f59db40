"""An app of Spin's Python SDK that does with a Redis server what it is asked to, as its documentation writes it."""

from urllib import parse

from componentize_py_types import Err
from spin_sdk import http, key_value, redis
from spin_sdk.http import Request, Response
from spin_sdk.wit.imports import spin_redis_redis_3_0_0 as wit


class HttpHandler(http.Handler):
    async def handle_request(self, request: Request) -> Response:
        asked = dict(parse.parse_qsl(parse.urlparse(request.uri).query))
        statements = asked["do"].split(";")
        if "store" in asked:
            said = await kept(asked["store"], statements)
        else:
            said = await told(asked["address"], statements)
        return Response(200, {"content-type": "text/plain"}, bytes("\n".join(said), "utf-8"))


async def kept(label: str, statements: list[str]) -> list[str]:
    """What a key-value store says."""
    try:
        with await key_value.open(label) as store:
            return [str(await keep(store, statement.split())) for statement in statements]
    except Err as error:
        return [type(error.value).__name__]


async def keep(store: key_value.Store, words: list[str]):
    match words:
        case ["get", key]:
            return await store.get(key)
        case ["set", key, value]:
            return await store.set(key, value.encode())
        case ["exists", key]:
            return await store.exists(key)
        case ["delete", key]:
            return await store.delete(key)


async def told(address: str, statements: list[str]) -> list[str]:
    try:
        connection = await redis.open(address)
    except Err as error:
        return [shown(error.value)]
    with connection:
        return [await said(connection, statement.split()) for statement in statements]


async def said(connection: wit.Connection, words: list[str]) -> str:
    try:
        return str(await do(connection, words))
    except Err as error:
        return shown(error.value)


async def do(connection: wit.Connection, words: list[str]):
    match words:
        case ["get", key]:
            value = await connection.get(key)
            return value if value is None else value.decode()
        case ["length", key]:
            return len(await connection.get(key))
        case ["set", key, value]:
            return await connection.set(key, value.encode())
        case ["fill", key, length]:
            return await connection.set(key, bytes(int(length)))
        case ["incr", key]:
            return await connection.incr(key)
        case ["del", *keys]:
            return await connection.del_(keys)
        case ["sadd", key, *values]:
            return await connection.sadd(key, values)
        case ["smembers", key]:
            return sorted(await connection.smembers(key))
        case ["srem", key, *values]:
            return await connection.srem(key, values)
        case ["publish", channel, payload]:
            return await connection.publish(channel, payload.encode())
        case ["execute", command, *arguments]:
            values = await connection.execute(command, [argument(text) for text in arguments])
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
