// What libraries expect of Node.js, as far as drivers do, and what stands for it while they are loaded: that is when the
// component is built, and there are no random numbers, no clock and no timers then.

import { Buffer } from "buffer";

globalThis.Buffer = Buffer;
globalThis.process = {
  argv: [],
  browser: true, // `debug` looks for a terminal otherwise
  cwd: () => "/",
  env: {},
  nextTick: (task, ...given) => queueMicrotask(() => task(...given)),
  on: () => globalThis.process,
  platform: "wasi",
  version: "v20.0.0",
  versions: { node: "20.0.0" },
};
globalThis.navigator ??= { userAgent: "component" };
globalThis.performance = { now: () => Date.now() };
globalThis.setImmediate = (task, ...given) => setTimeout(task, 0, ...given);
globalThis.clearImmediate = (timer) => clearTimeout(timer);

// The engine has no tables of Unicode. Drivers normalize passwords.
String.prototype.normalize ??= function () {
  if (/[^\0-\x7f]/.test(this)) {
    throw new RangeError("this engine cannot normalize text beyond ASCII");
  }
  return String(this);
};

const random = Math.random;
Math.random = () => 0.5;

/** To be called first by what the component exports: numbers are random from then on. */
export function started() {
  Math.random = random;
}
