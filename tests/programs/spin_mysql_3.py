"""An app of Spin's Python SDK 3, whose interface is the one of version 2, that asks a MySQL server."""

from urllib import parse

from spin_sdk import http, mysql
from spin_sdk.http import Request, Response
from spin_sdk.wit.imports import rdbms_types as types
from spin_sdk.wit.types import Err


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        asked = parse.parse_qsl(parse.urlparse(request.uri).query)
        said = "\n".join(told(asked))
        return Response(200, {"content-type": "text/plain"}, bytes(said, "utf-8"))


def told(asked: list) -> list[str]:
    statements = []
    for key, text in asked:
        if key == "do":
            statements.append((text, []))
        elif key == "values":
            statements[-1] = (statements[-1][0], eval(text, vars(types)))
    try:
        connection = mysql.open(dict(asked)["address"])
    except Err as error:
        return [shown(error.value)]
    with connection:
        return [answer(connection, *statement) for statement in statements]


def answer(connection, statement: str, values: list) -> str:
    try:
        if statement.startswith("!"):
            connection.execute(statement[1:], values)
            return "done"
        found = connection.query(statement, values)
    except Err as error:
        return shown(error.value)
    names = ", ".join(f"{column.name} {column.data_type.name}" for column in found.columns)
    if len(found.rows) > 20:
        return f"{names}: {len(found.rows)} rows"
    rows = "; ".join(", ".join(value(one) for one in row) for row in found.rows)
    return f"{names}: {rows}"


def value(one) -> str:
    name = type(one).__name__.removeprefix("DbValue_")
    text = repr(one.value) if hasattr(one, "value") else ""
    return f"{name}({text[:200]})"


def shown(error) -> str:
    return f"{type(error).__name__.removeprefix('Error_')}: {error.value}"
