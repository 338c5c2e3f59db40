import { build } from "esbuild";

await build({
  entryPoints: ["./src/index.js"],
  outfile: "./build/bundle.js",
  bundle: true,
  format: "esm",
  external: ["fermyon:*", "wasi:*"],
  logLevel: "error",
});
