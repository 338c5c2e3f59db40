// Asks PostgreSQL for its version. The host makes the connection.

import { Connection } from "spin:postgres/postgres@3.0.0";
import { getEnvironment } from "wasi:cli/environment@0.2.6";
import { exit } from "wasi:cli/exit@0.2.6";

export const run = {
  run() {
    try {
      const { DATABASE_URL } = Object.fromEntries(getEnvironment());
      const connection = Connection.open(DATABASE_URL);
      const [[version]] = connection.query("select version()", []).rows;
      console.log(version.val);
    } catch (error) {
      // What the host answers is the payload: its kind, and what it says.
      const { tag, val } = error.payload ?? { tag: error.name, val: error.message };
      console.error(`${tag}: ${val}`);
      exit({ tag: "err" });
    }
  },
};
