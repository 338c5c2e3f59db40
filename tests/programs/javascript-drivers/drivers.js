// Each driver does the same 20 operations, and says what came of each: `drivers COMMAND HOST PORT`.

import { Buffer } from "node:buffer";
import { Redis } from "ioredis";
import mqtt from "mqtt";
import mysql from "mysql2/promise";
import pg from "pg";
import postgres from "postgres";
import { createClient } from "redis";

const ROUNDS = Array.from({ length: 20 }, (_, round) => round);

async function askPg(host, port) {
  const client = new pg.Client({ host, port, user: "postgres", password: "secret", database: "postgres" });
  await client.connect();
  const said = [];
  for (const round of ROUNDS) {
    const { rows } = await client.query("select $1::int * 2 as double, $2 as name, now() > '2000-01-01' as later", [
      round,
      `név ${round}`,
    ]);
    said.push(rows[0]);
  }
  await client.end();
  return said;
}

async function askPostgres(host, port) {
  const sql = postgres({ host, port, user: "postgres", password: "secret", database: "postgres", max: 1 });
  const said = [];
  for (const round of ROUNDS) {
    said.push((await sql`select ${round}::int * 2 as double, ${`név ${round}`}::text as name`)[0]);
  }
  await sql.end();
  return said;
}

async function askMysql(host, port) {
  const client = await mysql.createConnection({
    host,
    port,
    user: "guest",
    password: "secret",
    database: "shop",
    disableEval: true,
  });
  const said = [];
  for (const round of ROUNDS) {
    const [rows] =
      round % 2 === 0
        ? await client.query("select ? * 2 as twice, ? as name", [round, `név ${round}`])
        : await client.execute("select ? * 2 as twice, ? as name", [round, `név ${round}`]);
    said.push(rows[0]);
  }
  await client.end();
  return said;
}

async function askIoredis(host, port) {
  const client = new Redis({ host, port, maxRetriesPerRequest: 1, retryStrategy: () => null });
  const said = [];
  for (const round of ROUNDS) {
    said.push(await client.set("js:ioredis", `név ${round}`), await client.get("js:ioredis"));
  }
  await client.quit();
  return said;
}

async function askRedis(host, port) {
  const client = createClient({ maintNotifications: "disabled", socket: { host, port, reconnectStrategy: false } });
  await client.connect();
  const said = [];
  for (const round of ROUNDS) {
    said.push(await client.set("js:redis", `név ${round}`), await client.get("js:redis"));
  }
  await client.close();
  return said;
}

async function askMqtt(host, port) {
  const client = await mqtt.connectAsync(`mqtt://${host}:${port}`, { reconnectPeriod: 0 });
  const said = [];
  await client.subscribeAsync("js/colour", { qos: 1 });
  for (const round of ROUNDS) {
    const heard = new Promise((resolve) => client.once("message", (_, payload) => resolve(payload.toString())));
    await client.publishAsync("js/colour", Buffer.from(`név ${round}`), { qos: 1 });
    said.push(await heard);
  }
  await client.endAsync();
  return said;
}

async function askFetch(host, port) {
  const said = [];
  for (const round of ROUNDS) {
    const answer = await fetch(`http://${host}:${port}/${round}`);
    said.push([answer.status, await answer.text()]);
  }
  return said;
}

const COMMANDS = {
  pg: askPg,
  postgres: askPostgres,
  redis: askRedis,
  mysql2: askMysql,
  ioredis: askIoredis,
  mqtt: askMqtt,
  fetch: askFetch,
};

export async function main([command, host, port]) {
  for (const said of await COMMANDS[command](host, Number(port))) {
    console.log(JSON.stringify(said));
  }
}
