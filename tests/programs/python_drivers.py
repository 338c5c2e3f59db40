"""Each library does 20 operations, and says what came of each: `drivers COMMAND HOST PORT`, see those that begin with `of_`.

The same file runs in a component and natively. What it prints is the same.
"""

import encodings.idna  # what is needed at run time has to be imported when the component is built
import asyncio
import ftplib
import importlib
import io
import os
import random
import smtplib
import socket
import sys
import threading
import time
import traceback

from guest_loop import GuestLoop

# `urllib3` tries a socket of IPv6 when it is imported, and there is no network when a component is built.
socket.has_ipv6, has_ipv6 = False, socket.has_ipv6
import requests
import urllib3
socket.has_ipv6 = has_ipv6

import aiohttp
os.environ.setdefault("USER", "guest")  # `aiomysql` asks for the name of the user when it is imported
import aiomysql
import gmqtt
import mysql.connector
import mysql.connector.locales.eng.client_error
import mysql.connector.plugins.mysql_native_password
import pymysql
import redis
import redis.asyncio

import no_tls  # what follows cannot be imported without `ssl`
import aiomqtt
import anyio._backends._asyncio
import httpcore
import httpcore._backends.anyio
import httpx
import paho.mqtt.client
import pg8000.dbapi
import pg8000.native

# Paho binds to the address of everybody, and has a pair of sockets by which a thread wakes another: a component may have
# neither, and needs neither.
paho.mqtt.client._socketpair_compat = lambda: (None, None)
paho.mqtt.client.Client._create_socket_connection = lambda client: socket.create_connection(
    (client.host, client.port), timeout=client.connect_timeout
)

# It would ask a program for the name of the system.
mysql.connector.utils.linux_distribution = lambda: ("", "", "")

# What httpx is given in place of a context of TLS: it makes one even for plain HTTP otherwise.
NO_TLS = object()

ROUNDS = range(20)


def of_redis(host, port):
    with redis.Redis(host=host, port=port, socket_connect_timeout=5, decode_responses=True) as client:
        for round in ROUNDS:
            client.set(f"py:{round}", f"név {round}")
            yield client.get(f"py:{round}"), client.incr("py:count") > 0


async def of_redis_asyncio(host, port):
    said = []
    async with redis.asyncio.Redis(host=host, port=port, decode_responses=True) as client:
        for round in ROUNDS:
            await client.set(f"py:a:{round}", f"név {round}")
            said.append(await client.get(f"py:a:{round}"))
        async with client.pipeline() as pipeline:
            said.append(await pipeline.set("py:p", 1).incr("py:p").execute())
    return said


def of_pg8000(host, port):
    connection = pg8000.native.Connection("postgres", host=host, port=port, password="secret", ssl_context=False)
    for round in ROUNDS:
        yield connection.run("select :n * 2, :name", n=round, name=f"név {round}")
    connection.close()


def of_pg8000_dbapi(host, port):
    connection = pg8000.dbapi.connect("postgres", host=host, port=port, password="secret", ssl_context=False)
    cursor = connection.cursor()
    for round in ROUNDS:
        cursor.execute("select %s * 2, %s", (round, f"név {round}"))
        yield cursor.fetchall()
    connection.commit()
    connection.close()


def of_pymysql(host, port):
    connection = pymysql.connect(host=host, port=port, user="guest", password="secret", connect_timeout=5)
    with connection, connection.cursor() as cursor:
        for round in ROUNDS:
            cursor.execute("select 2 * %s, %s", (round, f"név {round}"))
            yield cursor.fetchall()


async def of_aiomysql(host, port):
    said = []
    connection = await aiomysql.connect(host=host, port=port, user="guest", password="secret")
    async with connection.cursor() as cursor:
        for round in ROUNDS:
            await cursor.execute("select 2 * %s, %s", (round, f"név {round}"))
            said.append(await cursor.fetchall())
    connection.close()
    return said


def of_mysql_connector(host, port):
    connection = mysql.connector.connect(
        host=host, port=port, user="guest", password="secret", use_pure=True, ssl_disabled=True
    )
    cursor = connection.cursor()
    for round in ROUNDS:
        cursor.execute("select 2 * %s, %s", (round, f"név {round}"))
        yield cursor.fetchall()
    connection.close()


def of_paho(host, port):
    received = []
    client = paho.mqtt.client.Client(paho.mqtt.client.CallbackAPIVersion.VERSION2)
    client.on_connect = lambda client, *_: client.subscribe("py/paho", qos=1)
    client.on_subscribe = lambda client, *_: client.publish("py/paho", "név 0", qos=1)
    client.on_message = lambda client, _, message: received.append(message.payload.decode())
    client.connect(host, port)
    for round in ROUNDS:
        while len(received) <= round:
            client.loop(timeout=1)
        client.publish("py/paho", f"név {round + 1}", qos=1)
        yield received[round]
    client.disconnect()


async def of_aiomqtt(host, port):
    said = []
    async with aiomqtt.Client(host, port) as client:
        await client.subscribe("py/aiomqtt", qos=1)
        for round in ROUNDS:
            await client.publish("py/aiomqtt", f"név {round}", qos=1)
            async for message in client.messages:
                said.append(message.payload.decode())
                break
    return said


async def of_gmqtt(host, port):
    received = asyncio.Queue()
    client = gmqtt.Client("py-gmqtt")
    client.on_message = lambda client, topic, payload, qos, properties: received.put_nowait(payload.decode()) or 0
    await client.connect(host, port, version=4)
    client.subscribe("py/gmqtt", qos=1)
    said = []
    for round in ROUNDS:
        client.publish("py/gmqtt", f"név {round}", qos=1)
        said.append(await received.get())
    await client.disconnect()
    return said


def of_requests(host, port):
    with requests.Session() as session:
        for round in ROUNDS:
            answer = session.get(f"http://{host}:{port}/{round}", timeout=5)
            yield answer.status_code, answer.text


def of_urllib3(host, port):
    with urllib3.PoolManager(timeout=5) as pool:
        for round in ROUNDS:
            answer = pool.request("POST", f"http://{host}:{port}/{round}", body=b"x" * round)
            yield answer.status, answer.data


def of_httpx(host, port):
    with httpx.Client(timeout=5, verify=NO_TLS, trust_env=False) as client:
        for round in ROUNDS:
            answer = client.get(f"http://{host}:{port}/{round}")
            yield answer.status_code, answer.text


async def of_httpx_async(host, port):
    said = []
    async with httpx.AsyncClient(timeout=5, verify=NO_TLS, trust_env=False) as client:
        for round in ROUNDS:
            answer = await client.get(f"http://{host}:{port}/{round}")
            said.append((answer.status_code, answer.text))
    return said


async def of_aiohttp(host, port):
    said = []
    async with aiohttp.ClientSession() as session:
        for round in ROUNDS:
            async with session.get(f"http://{host}:{port}/{round}") as answer:
                said.append((answer.status, await answer.text()))
    return said


def of_smtplib(host, port):
    with smtplib.SMTP(host, port, local_hostname="guest.test", timeout=5) as server:
        for round in ROUNDS:
            yield server.sendmail("from@guest.test", ["to@guest.test"], f"Subject: {round}\r\n\r\ngreen\r\n")


def of_ftplib(host, port):
    with ftplib.FTP(timeout=5) as server:
        server.connect(host, port)
        server.login("guest", "secret")
        for round in ROUNDS:
            fetched = io.BytesIO()
            server.storbinary("STOR colour", io.BytesIO(b"green %d" % round))
            server.retrbinary("RETR colour", fetched.write)
            yield server.nlst(), fetched.getvalue()


COMMANDS = {name.removeprefix("of_"): function for name, function in globals().items() if name.startswith("of_")}


def main(arguments):
    command, host, port = arguments
    function = COMMANDS[command]
    if asyncio.iscoroutinefunction(function):
        with asyncio.Runner(loop_factory=GuestLoop) as runner:
            operations = runner.run(function(host, int(port)))
    else:
        operations = function(host, int(port))
    for said in operations:
        print(said)


def usual_loop():
    """What becomes of `asyncio.run`."""
    asyncio.run(asyncio.sleep(0))


def built():
    """What is of the build, and what of the run."""
    try:
        importlib.import_module("colorsys")
    except ImportError as error:
        print(error)
    try:
        threading.Thread(target=print).start()
    except RuntimeError as error:
        print(error)
    print(BUILT["clock"] < time.time(), BUILT["random"], random.random(), os.environ.get("GREETING"))


# Of the time when the component is built.
BUILT = {"clock": time.time(), "random": random.random()}

# What says nothing of a server.
ALONE = {"usual-loop": usual_loop, "built": built}

if __name__ == "__main__":
    main(sys.argv[1:])
else:
    import wit_world.exports

    class Run(wit_world.exports.Run):
        def run(self):
            try:
                if sys.argv[1] in ALONE:
                    ALONE[sys.argv[1]]()
                else:
                    main(sys.argv[1:])
            except Exception as error:
                traceback.print_exc()
                print(f"{type(error).__name__}: {error}")
                raise SystemExit(1)
