"""Two clients as everybody uses them, redis-py and pg8000, with nothing changed for WebAssembly.

Usage: clients redis HOST PORT | clients postgres HOST PORT | clients resolve HOST | clients write FILE TEXT

Writes what the server answered to standard output. Ends with 1 and the error if it does not come that far.
"""

import encodings.idna  # what a module needs at run time must be there when the component is built
import os
import socket
import sys
import types

import redis
import wit_world.exports

# There is no `ssl` in CPython for WebAssembly. redis-py knows that; pg8000 wants the names of two of its types.
sys.modules["ssl"] = types.SimpleNamespace(SSLObject=object, SSLSocket=object)
import pg8000.native


def ask_redis(host, port):
    client = redis.Redis(host=host, port=port, socket_connect_timeout=5, retry=None, protocol=2)
    client.set("colour", "green")
    return client.get("colour").decode()


def ask_postgres(host, port):
    connection = pg8000.native.Connection(
        "postgres", host=host, port=port, password="secret", timeout=5, ssl_context=False
    )
    rows = connection.run("select 6 * :seven", seven=7)
    connection.close()
    return rows[0][0]


def resolve(host):
    return " ".join(sorted({answer[4][0] for answer in socket.getaddrinfo(host, 80)}))


def write(path, text):
    """Writes a file in three steps: makes it, renames it, appends to it."""
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)
    with open(path, "a") as file:
        file.write(" and more")
    return "written"


class Run(wit_world.exports.Run):
    def run(self):
        try:
            match sys.argv[1:]:
                case ["redis", host, port]:
                    print(ask_redis(host, int(port)))
                case ["postgres", host, port]:
                    print(ask_postgres(host, int(port)))
                case ["resolve", host]:
                    print(resolve(host))
                case ["write", path, text]:
                    print(write(path, text))
                case other:
                    raise SystemExit(f"usage: {__doc__} {other}")
        except (redis.RedisError, pg8000.native.InterfaceError, OSError) as error:
            print(f"{type(error).__name__}: {error}")
            raise SystemExit(1)
