"""The same as spin_mqtt.py for Spin's Python SDK 3, whose interface is the synchronous one of version 2."""

import time
from urllib import parse

from spin_sdk import http, mqtt
from spin_sdk.http import Request, Response
from spin_sdk.wit.imports import mqtt as wit
from spin_sdk.wit.types import Err


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        asked = dict(parse.parse_qsl(parse.urlparse(request.uri).query))
        said = "\n".join(told(asked, asked["do"].split(";")))
        return Response(200, {"content-type": "text/plain"}, bytes(said, "utf-8"))


def opened(asked: dict) -> wit.Connection:
    user, password, keep_alive = asked.get("user", ""), asked.get("password", ""), asked.get("keep", "30")
    return mqtt.open(asked["address"], user, password, int(keep_alive))


def told(asked: dict, statements: list[str]) -> list[str]:
    try:
        connection = opened(asked)
    except Err as error:
        return [shown(error.value)]
    with connection:
        return [said(asked, connection, statement.split()) for statement in statements]


def said(asked: dict, connection: wit.Connection, words: list[str]) -> str:
    try:
        return str(do(asked, connection, words))
    except Err as error:
        return shown(error.value)


def do(asked: dict, connection: wit.Connection, words: list[str]):
    match words:
        case ["publish", qos, topic, payload]:
            return connection.publish(topic, payload.encode(), mqtt.Qos(int(qos)))
        case ["publish", qos]:
            return connection.publish("", b"", mqtt.Qos(int(qos)))
        case ["fill", qos, topic, length]:
            return connection.publish(topic, bytes(int(length)), mqtt.Qos(int(qos)))
        case ["long", qos, length]:
            return connection.publish("t" * int(length), b"", mqtt.Qos(int(qos)))
        case ["again", qos, topic, payload]:
            with opened(asked) as other:
                return other.publish(topic, payload.encode(), mqtt.Qos(int(qos)))
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
