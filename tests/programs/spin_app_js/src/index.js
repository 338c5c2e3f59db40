// The hello-world, outgoing-HTTP and key-value apps of Spin's JavaScript SDK in one, as its documentation writes them, and
// those of databases, servers and models. The SDK's packages for those only pass on what is imported here itself.

import { Store } from "fermyon:spin/key-value@2.0.0";
import { generateEmbeddings, infer } from "fermyon:spin/llm@2.0.0";
import { Connection as Redis } from "fermyon:spin/redis@2.0.0";
import { Connection as Sqlite } from "fermyon:spin/sqlite@2.0.0";
import { Connection as Postgres } from "spin:postgres/postgres@3.0.0";

async function handle(request) {
  const url = new URL(request.url);
  switch (url.pathname) {
    case "/hello":
      return new Response("Hello from JavaScript!", { headers: { "content-type": "text/plain" } });
    case "/count":
      return new Response(count(url.search.slice(1)));
    case "/keys":
      return new Response(Store.open("default").getKeys().join());
    case "/open":
      return opened(url.search.slice(1));
    case "/embed":
      return answered(() => JSON.stringify(generateEmbeddings(url.search.slice(1), ["a", "bcd"]).embeddings.map((one) => [...one])));
    case "/infer":
      return answered(() => inferred(url.search.slice(1)));
    case "/postgres":
      return answered(() => keptInPostgres(decodeURIComponent(url.search.slice(1))));
    case "/redis":
      return answered(() => keptInRedis(decodeURIComponent(url.search.slice(1))));
    case "/sqlite":
      return answered(() => keptInSqlite(url.search.slice(1)));
    case "/send":
      return await pass(decodeURIComponent(url.search.slice(1)));
    case "/fetch":
      return new Response(await told(url.searchParams));
    case "/status":
      return status(Number(url.searchParams.get("status")));
    default:
      return new Response("nothing here", { status: 404 });
  }
}

function count(name) {
  const store = Store.open("default");
  const before = store.exists(name) ? Number(new TextDecoder().decode(store.get(name))) : 0;
  store.set(name, new TextEncoder().encode(`${before + 1}`));
  return `${before + 1}`;
}

function opened(label) {
  return answered(() => Store.open(label) && "opened");
}

// What `ask` gives, or the name of the error that it throws.
function answered(ask) {
  try {
    return new Response(ask());
  } catch (error) {
    const { tag, val } = error.payload ?? { tag: `${error}` };
    return new Response(val === undefined ? tag : `${tag}: ${val}`, { status: 403 });
  }
}

function keptInSqlite(label) {
  const connection = Sqlite.open(label);
  connection.execute("CREATE TABLE colours (name TEXT, number INTEGER, share REAL, code BLOB)", []);
  const values = [
    { tag: "text", val: "green" },
    { tag: "integer", val: 2n ** 53n + 1n },
    { tag: "real", val: 0.5 },
    { tag: "blob", val: new Uint8Array([0, 255]) },
  ];
  connection.execute("INSERT INTO colours VALUES (?, ?, ?, ?)", values);
  const found = connection.execute("SELECT *, NULL AS empty FROM colours", []);
  return `${found.columns}: ${found.rows.map(({ values }) => values.map(({ tag, val }) => `${tag} ${val}`))}`;
}

function keptInRedis(address) {
  const connection = Redis.open(address);
  connection.set("js:colour", new TextEncoder().encode("green"));
  const colour = new TextDecoder().decode(connection.get("js:colour"));
  const number = connection.incr("js:number");
  const added = connection.sadd("js:set", ["a", "b", "a"]);
  const lengths = connection.execute("STRLEN", [{ tag: "binary", val: new TextEncoder().encode("js:colour") }]);
  return `${colour} ${number} ${added} ${connection.del(["js:set"])} ${lengths.map(({ tag, val }) => `${tag} ${val}`)}`;
}

function keptInPostgres(address) {
  const connection = Postgres.open(address);
  connection.execute("CREATE TABLE js_colours (name text, number int8, day date)", []);
  const values = [
    { tag: "str", val: "green" },
    { tag: "int64", val: 2n ** 53n + 1n },
    { tag: "date", val: [2026, 2, 28] },
  ];
  const inserted = connection.execute("INSERT INTO js_colours VALUES ($1, $2, $3)", values);
  const found = connection.query("SELECT *, NULL::text AS empty FROM js_colours", []);
  const columns = found.columns.map(({ name, dataType }) => `${name} ${dataType}`);
  return `${inserted}; ${columns}: ${found.rows.map((row) => row.map(({ tag, val }) => `${tag} ${val}`))}`;
}

function inferred(model) {
  const { text, usage } = infer(model, "say something", undefined);
  return `${text} (${usage.promptTokenCount}+${usage.generatedTokenCount})`;
}

async function pass(url) {
  try {
    const answer = await fetch(url);
    return new Response(await answer.text(), { status: answer.status });
  } catch (error) {
    return new Response(`${error}`, { status: 502 });
  }
}

// What was answered to a request, as every app that is asked to send one tells it.
async function told(asked) {
  try {
    const answer = await fetch(asked.get("url"), { method: asked.get("method"), body: asked.get("body") ?? undefined });
    return `${answer.status} ${await answer.text()}`;
  } catch (error) {
    return "failed";
  }
}

function status(status) {
  return new Response(status === 200 ? "a body" : null, { status });
}

addEventListener("fetch", (event) => event.respondWith(handle(event.request)));
