"""An app of Spin's Python SDK that publishes to an MQTT broker what it is asked to, as its documentation writes it."""

import time
from urllib import parse

from componentize_py_types import Err
from spin_sdk import http, mqtt
from spin_sdk.http import Request, Response
from spin_sdk.wit.imports import spin_mqtt_mqtt_3_0_0 as wit


class HttpHandler(http.Handler):
    async def handle_request(self, request: Request) -> Response:
        asked = dict(parse.parse_qsl(parse.urlparse(request.uri).query))
        said = "\n".join(await told(asked, asked["do"].split(";")))
        return Response(200, {"content-type": "text/plain"}, bytes(said, "utf-8"))


async def opened(asked: dict) -> wit.Connection:
    user, password, keep_alive = asked.get("user", ""), asked.get("password", ""), asked.get("keep", "30")
    return await mqtt.open(asked["address"], user, password, int(keep_alive))


async def told(asked: dict, statements: list[str]) -> list[str]:
    try:
        connection = await opened(asked)
    except Err as error:
        return [shown(error.value)]
    with connection:
        return [await said(asked, connection, statement.split()) for statement in statements]


async def said(asked: dict, connection: wit.Connection, words: list[str]) -> str:
    try:
        return str(await do(asked, connection, words))
    except Err as error:
        return shown(error.value)


async def do(asked: dict, connection: wit.Connection, words: list[str]):
    match words:
        case ["publish", qos, topic, payload]:
            return await connection.publish(topic, payload.encode(), mqtt.Qos(int(qos)))
        case ["publish", qos]:
            return await connection.publish("", b"", mqtt.Qos(int(qos)))
        case ["fill", qos, topic, length]:
            return await connection.publish(topic, bytes(int(length)), mqtt.Qos(int(qos)))
        case ["long", qos, length]:
            return await connection.publish("t" * int(length), b"", mqtt.Qos(int(qos)))
        case ["again", qos, topic, payload]:
            with await opened(asked) as other:
                return await other.publish(topic, payload.encode(), mqtt.Qos(int(qos)))
        case ["sleep", seconds]:
            return time.sleep(float(seconds))


def shown(error: wit.Error) -> str:
    match error:
        case wit.Error_InvalidAddress():
            return "invalid-address"
        case wit.Error_TooManyConnections():
            return "too-many-connections"
        case wit.Error_ConnectionFailed(text):
            return f"connection-failed: {text}"
        case wit.Error_Other(text):
            return f"other: {text}"
