"""Clients as everybody uses them, with nothing changed for WebAssembly, and what the standard library is asked for.

Usage: clients COMMAND HOST PORT …, see `COMMANDS`; clients resolve HOST | clients write FILE TEXT

Writes what the server answered to standard output. Ends with 1 and the error if it does not come that far.
"""

import encodings.idna  # what a module needs at run time must be there when the component is built
import ftplib
import imaplib
import io
import os
import select
import smtplib
import socket
import sys
import types

import paho.mqtt.client
import pymysql
import redis
import wit_world.exports

# It tries a socket of IPv6 when it is imported, which is when the component is built. What the C library knows of the
# network then would be kept, and there is no such thing when the component runs.
socket.has_ipv6, has_ipv6 = False, socket.has_ipv6
import requests
socket.has_ipv6 = has_ipv6

# There is no `ssl` in CPython for WebAssembly. The others know that; pg8000 wants the names of two of its types.
sys.modules["ssl"] = types.SimpleNamespace(SSLObject=object, SSLSocket=object)
import pg8000.native

# The pair of sockets by which a thread of paho wakes another one listens, which is never permitted. There are no threads
# here either, and the client does without where there is none.
paho.mqtt.client._socketpair_compat = lambda: (None, None)


class MqttClient(paho.mqtt.client.Client):
    """Chooses no local address. Paho binds to that of everybody, which the C library takes for `localhost`."""

    def _create_socket_connection(self):
        return socket.create_connection((self.host, self.port), timeout=5)


ROUNDS = 50


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


def ask_mysql(host, port):
    connection = pymysql.connect(host=host, port=port, user="guest", password="secret", connect_timeout=5)
    with connection, connection.cursor() as cursor:
        cursor.execute("select 6 * %s", (7,))
        return cursor.fetchone()[0]


def ask_mqtt(host, port):
    """Subscribes to a topic, writes to it, and waits for what it wrote."""
    received = []
    client = MqttClient(paho.mqtt.client.CallbackAPIVersion.VERSION2)
    client.on_connect = lambda client, *_: client.subscribe("colour", qos=1)
    client.on_subscribe = lambda client, *_: client.publish("colour", "green", qos=1)
    client.on_message = lambda client, _, message: received.append(message.payload.decode())
    client.connect(host, port)
    for _ in range(ROUNDS):
        if received:
            break
        client.loop(timeout=1)
    client.disconnect()
    return " ".join(received)


def send_mail(host, port):
    with smtplib.SMTP(host, port, local_hostname="guest.test", timeout=5) as server:
        server.sendmail("from@guest.test", ["to@guest.test"], "Subject: colour\r\n\r\ngreen\r\n")
    return "sent"


def read_mail(host, port):
    with imaplib.IMAP4(host, port, timeout=5) as server:
        server.login("demouser", "demopass")
        server.select("INBOX", readonly=True)
        _, parts = server.fetch("1", "(BODY[HEADER.FIELDS (SUBJECT)])")
        return parts[0][1].decode().strip()


def move_files(host, port):
    """Stores a file, lists the folder and fetches the file again, each by a passive connection."""
    fetched = io.BytesIO()
    with ftplib.FTP(timeout=5) as server:
        server.connect(host, port)
        server.login("guest", "secret")
        server.storbinary("STOR colour", io.BytesIO(b"green"))
        names = server.nlst()
        server.retrbinary("RETR colour", fetched.write)
    return f"{' '.join(names)}: {fetched.getvalue().decode()}"


def keep_a_session(host, port):
    with requests.Session() as session:
        answers = [session.get(f"http://{host}:{port}/{number}", timeout=5) for number in range(20)]
    return sum(answer.text == "hello" for answer in answers)


def choose_the_readable(host, port, other_port):
    """Two connections to servers that echo. Counts how often `select` says exactly which of them has something."""
    pair = [socket.create_connection((host, int(number)), timeout=5) for number in (port, other_port)]
    right = 0
    for number in range(ROUNDS):
        asked = pair[number % 2]
        nothing = select.select(pair, [], [], 0)[0] == []
        asked.sendall(b"echo")
        right += nothing and select.select(pair, [], [], 5)[0] == [asked]
        while select.select([asked], [], [], 0.05)[0]:
            asked.recv(100)
    return right


def never_block(host, port):
    """Counts how often all of it works on a socket that does not block."""
    return sum(exchange_without_blocking(host, port) for _ in range(ROUNDS))


def exchange_without_blocking(host, port):
    with socket.socket() as connection:
        connection.setblocking(False)
        try:
            connection.connect((host, port))
        except BlockingIOError:
            pass
        if not select.select([], [connection], [], 5)[1] or connection.getsockopt(
            socket.SOL_SOCKET, socket.SO_ERROR
        ):
            return False
        try:
            connection.recv(100)
            return False
        except BlockingIOError:
            pass
        # Right after a receive that would have had to wait.
        if connection.send(b"echo") != 4 or not select.select([connection], [], [], 5)[0]:
            return False
        return connection.recv(100) == b"echo"


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


COMMANDS = {
    "redis": ask_redis,
    "postgres": ask_postgres,
    "mysql": ask_mysql,
    "mqtt": ask_mqtt,
    "smtp": send_mail,
    "imap": read_mail,
    "ftp": move_files,
    "session": keep_a_session,
    "select": choose_the_readable,
    "nonblocking": never_block,
}


class Run(wit_world.exports.Run):
    def run(self):
        try:
            match sys.argv[1:]:
                case ["resolve", host]:
                    print(resolve(host))
                case ["write", path, text]:
                    print(write(path, text))
                case [command, host, port, *more] if command in COMMANDS:
                    print(COMMANDS[command](host, int(port), *more))
                case other:
                    raise SystemExit(f"usage: {__doc__} {other}")
        except (redis.RedisError, pg8000.native.InterfaceError, pymysql.Error, OSError) as error:
            print(f"{type(error).__name__}: {error}")
            raise SystemExit(1)
