"""An app of Spin's Python SDK that executes the SQL it is sent, by each version of the interface that the SDK has."""

import json

from componentize_py_types import Err
from spin_sdk import http, sqlite, util
from spin_sdk.http import Request, Response
from spin_sdk.wit.imports import fermyon_spin_sqlite_2_0_0 as v2
from spin_sdk.wit.imports import spin_sqlite_sqlite_3_1_0 as v3


class HttpHandler(http.Handler):
    async def handle_request(self, request: Request) -> Response:
        asked = json.loads(request.body)
        interface = {"2": Version2, "3": Version3, "async": Async}[asked["interface"]]
        try:
            connection = await interface.open(asked["label"])
        except Err as error:
            return answer([told(error)])
        results = []
        with connection:
            for statement, *parameters in asked["statements"]:
                try:
                    results.append(await interface.execute(connection, statement, parameters))
                except Err as error:
                    results.append(told(error))
        return answer(results)


class Version2:
    @staticmethod
    async def open(label: str):
        return v2.Connection.open(label)

    @staticmethod
    async def execute(connection, statement: str, parameters: list):
        result = connection.execute(statement, values(v2, parameters))
        return rows(v2, result.columns, result.rows)


class Version3:
    @staticmethod
    async def open(label: str):
        return v3.Connection.open(label)

    @staticmethod
    async def execute(connection, statement: str, parameters: list):
        result = connection.execute(statement, values(v3, parameters))
        counts = {"changes": connection.changes(), "rowid": connection.last_insert_rowid()}
        return rows(v3, result.columns, result.rows) | counts


class Async:
    @staticmethod
    async def open(label: str):
        return await sqlite.Connection.open(label)

    @staticmethod
    async def execute(connection, statement: str, parameters: list):
        columns, stream, outcome = await connection.execute(statement, values(v3, parameters))
        result = await util.collect((stream, outcome))
        counts = {"changes": await connection.changes(), "rowid": await connection.last_insert_rowid()}
        return rows(v3, columns, result) | counts


def values(interface, parameters: list) -> list:
    def value(of):
        match of:
            case None:
                return interface.Value_Null()
            case int():
                return interface.Value_Integer(of)
            case float():
                return interface.Value_Real(of)
            case str():
                return interface.Value_Text(of)
            case {"blob": digits}:
                return interface.Value_Blob(bytes.fromhex(digits))

    return [value(parameter) for parameter in parameters]


def rows(interface, columns: list, found: list) -> dict:
    def value(of):
        match of:
            case interface.Value_Blob(bytes_):
                return {"blob": bytes_.hex()}
            case interface.Value_Null():
                return None
            case _:
                return of.value

    return {"columns": columns, "rows": [[value(of) for of in row.values] for row in found]}


def told(error: Err) -> str:
    of = error.value
    kind = type(of).__name__.removeprefix("Error_")
    return f"{kind}: {of.value}" if kind == "Io" else kind


def answer(results: list) -> Response:
    return Response(200, {"content-type": "application/json"}, bytes(json.dumps(results), "utf-8"))
