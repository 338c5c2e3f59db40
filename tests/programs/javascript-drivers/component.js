// The drivers in a component: `app.wasm COMMAND HOST PORT`.

import { getArguments } from "wasi:cli/environment@0.2.12";
import { started } from "./build_time.js";
import { main } from "./drivers.js";

const built = Math.random();

export const run = {
  async run() {
    started();
    const asked = getArguments().slice(1);
    if (asked[0] === "random") {
      console.log(built, Math.random());
      return;
    }
    try {
      await main(asked);
    } catch (error) {
      console.error(`${error.code}: ${error.message}`);
      throw error;
    }
  },
};
