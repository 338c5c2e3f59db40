// The module `node:net` over `wasi:sockets`, as far as the drivers of databases use it: `connect`, `Socket`, `isIP`.
//
// A socket is a Duplex. Nothing here blocks a socket for another: who has to wait leaves what he waits for in `waiting`, and
// `turn` asks the host for all of it at once.

import { Duplex } from "node:stream";
import { subscribeDuration } from "wasi:clocks/monotonic-clock@0.2.12";
import { poll } from "wasi:io/poll@0.2.12";
import { instanceNetwork } from "wasi:sockets/instance-network@0.2.12";
import { resolveAddresses } from "wasi:sockets/ip-name-lookup@0.2.12";
import { createTcpSocket } from "wasi:sockets/tcp-create-socket@0.2.12";

// The toolchain declares no class for a resource without methods, such as `network`, and then misses it:
// https://github.com/bytecodealliance/ComponentizeJS/issues/221. What it generates has globals of its own, which are reached
// by the constructor of one of its functions. The digits are those of the version above.
instanceNetwork.constructor("return globalThis")().import_network_0_2_12$Network ??= class Network {};

/** How long the host is asked to wait, in nanoseconds: timers and `fetch` are late by that at most. */
const PATIENCE = 5_000_000n;

/** The most that is read at once, in bytes. */
const PIECE = 65_536n;

const CODES = {
  "access-denied": "EACCES",
  "connection-aborted": "ECONNABORTED",
  "connection-refused": "ECONNREFUSED",
  "connection-reset": "ECONNRESET",
  "name-unresolvable": "ENOTFOUND",
  "new-socket-limit": "EMFILE",
  "remote-unreachable": "EHOSTUNREACH",
  "temporary-resolver-failure": "EAI_AGAIN",
  timeout: "ETIMEDOUT",
};

/** One for all sockets, since it cannot be dropped. */
let network;

let waiting = [];
let scheduled = false;

/** Resolves when the pollable is ready, which is dropped then. */
function ready(pollable) {
  return new Promise((resolve) => {
    waiting.push({ pollable, resolve });
    schedule();
  });
}

function schedule() {
  if (!scheduled) {
    scheduled = true;
    setTimeout(turn, 0);
  }
}

function turn() {
  scheduled = false;
  const timer = subscribeDuration(PATIENCE);
  const asked = waiting;
  const indices = new Set(poll([...asked.map(({ pollable }) => pollable), timer]));
  timer[Symbol.dispose]();
  waiting = asked.filter((_, index) => !indices.has(index));
  for (const [index, { pollable, resolve }] of asked.entries()) {
    if (indices.has(index)) {
      pollable[Symbol.dispose]();
      resolve();
    }
  }
  if (waiting.length > 0) {
    schedule();
  }
}

/** What the call returns, as soon as it does not say that it would block. */
async function finished(call, subject) {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (error.payload !== "would-block") {
        throw error;
      }
    }
    await ready(subject.subscribe());
  }
}

function failure(operation, error) {
  const reason = error.payload?.tag ?? error.payload ?? error.message;
  const code = CODES[reason] ?? "EIO";
  return Object.assign(new Error(`${operation}: ${reason}`), { code, syscall: operation });
}

async function addresses(host) {
  const found = [];
  const stream = resolveAddresses(network, host);
  for (;;) {
    const address = await finished(() => stream.resolveNextAddress(), stream);
    if (address === undefined || address === null) {
      stream[Symbol.dispose]();
      return found;
    }
    found.push(address);
  }
}

function remote({ tag, val }, port) {
  return tag === "ipv4"
    ? { tag, val: { port, address: val } }
    : { tag, val: { port, flowInfo: 0, address: val, scopeId: 0 } };
}

/** Connects to the first of the addresses that answers. */
async function dial(host, port) {
  network ??= instanceNetwork();
  let last = new Error("no addresses");
  for (const address of await addresses(host)) {
    const socket = createTcpSocket(address.tag);
    try {
      socket.startConnect(network, remote(address, port));
      const [input, output] = await finished(() => socket.finishConnect(), socket);
      return { socket, input, output };
    } catch (error) {
      socket[Symbol.dispose]();
      last = error;
    }
  }
  throw last;
}

export class Socket extends Duplex {
  connecting = false;
  pending = true;
  #connection = null;
  #opened = null;
  #reading = false;
  #users = 0;

  constructor() {
    super({ allowHalfOpen: false, autoDestroy: true });
  }

  connect(...asked) {
    const listener = typeof asked.at(-1) === "function" ? asked.pop() : undefined;
    const { port, host } = typeof asked[0] === "object" ? asked[0] : { port: asked[0], host: asked[1] };
    if (listener) {
      this.once("connect", listener);
    }
    this.connecting = true;
    this.#opened = this.#open(host ?? "localhost", Number(port));
    return this;
  }

  async #open(host, port) {
    try {
      this.#connection = await dial(host, port);
    } catch (error) {
      this.destroy(failure(`connect ${host}:${port}`, error));
      return;
    }
    this.connecting = false;
    this.pending = false;
    if (this.destroyed) {
      this.#close();
      return;
    }
    this.emit("connect");
    this.emit("ready");
  }

  async _read() {
    if (this.#reading) {
      return;
    }
    this.#reading = true;
    this.#users += 1;
    try {
      await this.#opened;
      while (!this.destroyed) {
        const bytes = this.#connection.input.read(PIECE);
        if (bytes.length === 0) {
          await ready(this.#connection.input.subscribe());
        } else if (!this.push(Buffer.from(bytes))) {
          break;
        }
      }
    } catch (error) {
      this.#fail("read", error);
    } finally {
      this.#reading = false;
      this.#leave();
    }
  }

  async _write(chunk, _encoding, callback) {
    this.#users += 1;
    try {
      await this.#opened;
      let rest = chunk;
      while (rest.length > 0 && !this.destroyed) {
        const { output } = this.#connection;
        const room = Number(output.checkWrite());
        if (room === 0) {
          await ready(output.subscribe());
          continue;
        }
        output.write(rest.subarray(0, room));
        rest = rest.subarray(room);
      }
      callback();
    } catch (error) {
      callback(failure("write", error));
    } finally {
      this.#leave();
    }
  }

  async _final(callback) {
    await this.#opened;
    try {
      this.#connection?.socket.shutdown("send");
    } catch {
      // The other side was faster.
    }
    callback();
  }

  _destroy(error, callback) {
    this.#close();
    callback(error);
  }

  #fail(operation, error) {
    if (error.payload?.tag === "closed") {
      this.push(null);
    } else if (!this.destroyed) {
      this.destroy(failure(operation, error));
    }
  }

  /** Drops what was opened, the streams before their socket: at once, or as soon as nobody waits for it. */
  #close() {
    const connection = this.#connection;
    if (!connection) {
      return;
    }
    try {
      connection.socket.shutdown("both");
    } catch {
      // The other side was faster.
    }
    if (this.#users === 0) {
      this.#connection = null;
      connection.input[Symbol.dispose]();
      connection.output[Symbol.dispose]();
      connection.socket[Symbol.dispose]();
    }
  }

  #leave() {
    this.#users -= 1;
    if (this.destroyed) {
      this.#close();
    }
  }

  setNoDelay() {
    return this;
  }

  setKeepAlive() {
    return this;
  }

  setTimeout(milliseconds, listener) {
    clearTimeout(this.timer);
    if (milliseconds > 0) {
      this.timer = setTimeout(() => this.emit("timeout"), milliseconds);
    }
    if (listener) {
      this.once("timeout", listener);
    }
    return this;
  }

  get readyState() {
    return this.connecting ? "opening" : this.pending || this.destroyed ? "closed" : "open";
  }

  ref() {
    return this;
  }

  unref() {
    return this;
  }
}

export function connect(...asked) {
  return new Socket().connect(...asked);
}

export const createConnection = connect;

export function isIP(text) {
  return isIPv4(text) ? 4 : isIPv6(text) ? 6 : 0;
}

export function isIPv4(text) {
  const parts = String(text).split(".");
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256);
}

export function isIPv6(text) {
  return /^[0-9a-f:.]+$/i.test(text) && String(text).includes(":");
}

export default { Socket, Stream: Socket, connect, createConnection, isIP, isIPv4, isIPv6 };
