"""An app of Spin's Python SDK that asks a MySQL server what it is told to, as its documentation writes it."""

from urllib import parse

from componentize_py_types import Err
from spin_sdk import http, mysql
from spin_sdk.http import Request, Response
from spin_sdk.wit.imports import spin_mysql_mysql_3_0_0 as types


class HttpHandler(http.Handler):
    async def handle_request(self, request: Request) -> Response:
        asked = parse.parse_qsl(parse.urlparse(request.uri).query)
        said = "\n".join(await told(dict(asked), statements(asked)))
        return Response(200, {"content-type": "text/plain"}, bytes(said, "utf-8"))


def statements(asked: list) -> list:
    """Each `do`, with the `values` behind it: a list in Python, by the names of the interface."""
    found = []
    for key, text in asked:
        if key == "do":
            found.append((text, []))
        elif key == "values":
            found[-1] = (found[-1][0], eval(text, vars(types)))
    return found


async def told(asked: dict, statements: list) -> list[str]:
    try:
        connection = await mysql.open(asked["address"])
    except Err as error:
        return [shown(error.value)]
    with connection:
        return [await answer(connection, *statement) for statement in statements]


async def answer(connection, statement: str, values: list) -> str:
    try:
        if statement.startswith("!"):
            await connection.execute(statement[1:], values)
            return "done"
        columns, rows, outcome = await connection.query(statement, values)
    except Err as error:
        return shown(error.value)
    found = []
    with rows:
        while not rows.writer_dropped:
            found += await rows.read(10)
    result = await outcome.read()
    if isinstance(result, Err):
        return f"{len(found)} rows, then {shown(result.value)}"
    return table(columns, found)


def table(columns: list, rows: list) -> str:
    names = ", ".join(f"{column.name} {column.data_type.name}" for column in columns)
    if len(rows) > 20:
        return f"{names}: {len(rows)} rows"
    return f"{names}: " + "; ".join(", ".join(value(one) for one in row) for row in rows)


def value(one) -> str:
    name = type(one).__name__.removeprefix("DbValue_")
    text = repr(one.value) if hasattr(one, "value") else ""
    return f"{name}({text[:200]})"


def shown(error) -> str:
    return f"{type(error).__name__.removeprefix('Error_')}: {error.value}"
