"""An app of Spin's Python SDK that asks a PostgreSQL server what it is told to, as its documentation writes it."""

from urllib import parse

from componentize_py_types import Err
from spin_sdk import http
from spin_sdk.http import Request, Response
from spin_sdk.postgres import Connection
from spin_sdk.wit.imports import spin_postgres_postgres_4_2_0 as pg


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
            found[-1] = (found[-1][0], eval(text, vars(pg)))
    return found


async def told(asked: dict, statements: list) -> list[str]:
    try:
        connection = await opened(asked)
    except Err as error:
        return [shown(error.value)]
    ask = by_one_call if asked.get("by") == "calls" else as_it_comes
    with connection:
        return [await answer(ask, connection, *statement) for statement in statements]


async def opened(asked: dict):
    match asked.get("by"):
        case "calls":
            return pg.Connection.open(asked["address"])
        case "builder":
            builder = pg.ConnectionBuilder(asked["address"])
            if "root" in asked:
                builder.set_ca_root(asked["root"])
            return await builder.build_async()
        case "builder-calls":
            return pg.ConnectionBuilder(asked["address"]).build()
        case _:
            return await Connection.open(asked["address"])


async def answer(ask, connection, statement: str, values: list) -> str:
    try:
        if statement.startswith("!"):
            return f"{await execute(connection, statement[1:], values)} rows"
        return await ask(connection, statement, values)
    except Err as error:
        return shown(error.value)


async def execute(connection, statement: str, values: list) -> int:
    if isinstance(connection, Connection):
        return await connection.execute(statement, values)
    return connection.execute(statement, values)


async def as_it_comes(connection, statement: str, values: list) -> str:
    query = connection.query if isinstance(connection, Connection) else connection.query_async
    columns, rows, outcome = await query(statement, values)
    found = []
    with rows:
        while not rows.writer_dropped:
            found += await rows.read(10)
    result = await outcome.read()
    if isinstance(result, Err):
        return f"{len(found)} rows, then {shown(result.value)}"
    return table(columns, found)


async def by_one_call(connection, statement: str, values: list) -> str:
    found = connection.query(statement, values)
    return table(found.columns, found.rows)


def table(columns: list, rows: list) -> str:
    names = ", ".join(f"{column.name} {kind(column.data_type)}" for column in columns)
    if len(rows) > 20:
        return f"{names}: {len(rows)} rows"
    return f"{names}: " + "; ".join(", ".join(value(one) for one in row) for row in rows)


def kind(one) -> str:
    name = type(one).__name__.removeprefix("DbDataType_")
    return f"{name}({one.value})" if hasattr(one, "value") else name


def value(one) -> str:
    name = type(one).__name__.removeprefix("DbValue_")
    text = repr(one.value) if hasattr(one, "value") else ""
    return f"{name}({text[:200]})"


def shown(error) -> str:
    match error:
        case pg.Error_QueryFailed(pg.QueryError_DbError(said)):
            return f"{said.code} {said.as_text}"
        case pg.Error_QueryFailed(pg.QueryError_Text(text)):
            return f"QueryFailed: {text}"
        case _:
            return f"{type(error).__name__.removeprefix('Error_')}: {error.value}"
