// Asks a PostgreSQL server, a Redis server and an HTTP API by their names: `app.wasm POSTGRES REDIS API`, HOST:PORT each.

import { Redis } from "ioredis";
import pg from "pg";
import { getArguments } from "wasi:cli/environment@0.2.12";
import { started } from "./build_time.js";

function parts(address) {
  const [host, port] = address.split(":");
  return { host, port: Number(port) };
}

async function askPostgres(address) {
  const client = new pg.Client({ ...parts(address), user: "postgres", password: "secret", database: "postgres" });
  await client.connect();
  const { rows } = await client.query("select 6 * $1::int as answer", [7]);
  await client.end();
  return rows[0].answer;
}

async function askRedis(address) {
  const client = new Redis(parts(address));
  await client.set("colour", "green");
  const colour = await client.get("colour");
  await client.quit();
  return colour;
}

async function askApi(address) {
  const answer = await fetch(`http://${address}/`);
  return answer.text();
}

async function main([, database, cache, api]) {
  console.log("PostgreSQL:", await askPostgres(database));
  console.log("Redis:", await askRedis(cache));
  console.log("HTTP:", await askApi(api));
}

export const run = {
  async run() {
    started();
    try {
      await main(getArguments());
    } catch (error) {
      console.error(error.message);
      throw error;
    }
  },
};
