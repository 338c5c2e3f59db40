// Makes app.wasm of app.js, or of another file that is named: one file by esbuild, and a component of it by componentize-js.

import { writeFile } from "node:fs/promises";
import { builtinModules } from "node:module";
import { componentize } from "@bytecodealliance/componentize-js";
import { build } from "esbuild";

/** What stands for a module of Node.js. Packages of the same name are taken as well, and all others are empty. */
const MODULES = {
  crypto: "./crypto.js",
  net: "./sockets.js",
  path: "path-browserify",
  perf_hooks: "./globals.js",
  stream: "readable-stream/lib/ours/browser.js",
  timers: "./globals.js",
};
const PACKAGES = ["assert", "buffer", "events", "process", "string_decoder", "url", "util"];

const modulesOfNode = {
  name: "modules of Node.js",
  setup(building) {
    building.onResolve({ filter: /^[a-z]/ }, async ({ path, kind, pluginData }) => {
      const name = path.replace(/^node:/, "");
      if (pluginData === "resolved" || !builtinModules.includes(name)) {
        return undefined;
      }
      const module = MODULES[name] ?? (PACKAGES.includes(name) ? name : undefined);
      return module
        ? building.resolve(module, { kind, resolveDir: import.meta.dirname, pluginData: "resolved" })
        : { path: name, namespace: "empty" };
    });
    building.onLoad({ filter: /.*/, namespace: "empty" }, () => ({ contents: "module.exports = {};" }));
  },
};

await build({
  entryPoints: [process.argv[2] ?? "app.js"],
  outfile: "bundle.js",
  bundle: true,
  format: "esm",
  platform: "neutral",
  minify: true,
  mainFields: ["module", "main"],
  define: { global: "globalThis" },
  external: ["wasi:*"],
  inject: ["build_time.js"],
  plugins: [modulesOfNode],
  logLevel: "error",
});

const { component } = await componentize({ sourcePath: "bundle.js", witPath: "wit", worldName: "app" });
await writeFile("app.wasm", component);
