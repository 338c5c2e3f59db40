"""Asks a PostgreSQL server, a Redis server and an HTTP API by their names: `app.wasm POSTGRES REDIS API`, HOST:PORT each."""

import encodings.idna  # what is needed at run time has to be imported when the component is built
import socket
import sys

import wit_world.exports

# `urllib3`, which requests uses, tries a socket of IPv6 when it is imported, and there is no network at build time.
socket.has_ipv6, has_ipv6 = False, socket.has_ipv6
import requests
socket.has_ipv6 = has_ipv6

import redis

import no_tls  # pg8000 cannot be imported without `ssl`
import pg8000.native


def parts(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


def ask_postgres(address):
    host, port = parts(address)
    connection = pg8000.native.Connection("postgres", host=host, port=port, password="secret", ssl_context=False)
    [[answer]] = connection.run("select 6 * :seven", seven=7)
    connection.close()
    return answer


def ask_redis(address):
    host, port = parts(address)
    with redis.Redis(host=host, port=port, decode_responses=True) as client:
        client.set("colour", "green")
        return client.get("colour")


class Run(wit_world.exports.Run):
    def run(self):
        database, cache, api = sys.argv[1:]
        print("PostgreSQL:", ask_postgres(database))
        print("Redis:", ask_redis(cache))
        print("HTTP:", requests.get(f"http://{api}/", timeout=5).text)
