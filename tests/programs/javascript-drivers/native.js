// The same drivers on Node.js: `native.js COMMAND HOST PORT`.

import { main } from "./drivers.js";

await main(process.argv.slice(2));
