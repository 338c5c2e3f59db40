"""Asks PostgreSQL for its version, over a TCP connection of its own."""

import encodings.idna  # noqa: F401  (a name of a host is encoded by it, and nothing can be imported later)
import os
import sys
import types
from urllib.parse import unquote, urlsplit

from wit_world import exports

# There is no `ssl` in CPython for WebAssembly, and pg8000 only asks for the names of two of its types.
sys.modules["ssl"] = types.SimpleNamespace(SSLObject=object, SSLSocket=object)
import pg8000.native  # noqa: E402


def connect() -> pg8000.native.Connection:
    url = urlsplit(os.environ["DATABASE_URL"])
    if url.scheme not in ("postgres", "postgresql") or not url.hostname:
        sys.exit("DATABASE_URL is not postgres://USER:PASSWORD@HOST:PORT/DATABASE")
    return pg8000.native.Connection(
        unquote(url.username or "postgres"),
        host=url.hostname,
        port=url.port or 5432,
        database=unquote(url.path.lstrip("/")) or None,
        # Without one pg8000 fails at its own code where the server asks for it.
        password=unquote(url.password or ""),
        ssl_context=False,
    )


class Run(exports.Run):
    def run(self) -> None:
        try:
            connection = connect()
            [[version]] = connection.run("select version()")
            connection.close()
        except (pg8000.native.InterfaceError, pg8000.native.DatabaseError, OSError) as error:
            sys.exit(f"{type(error).__name__}: {error}")
        print(version)
