// The modules `node:timers` and `node:perf_hooks`: what they export is there without them.

const { clearImmediate, clearInterval, clearTimeout, performance, setImmediate, setInterval, setTimeout } = globalThis;

export { clearImmediate, clearInterval, clearTimeout, performance, setImmediate, setInterval, setTimeout };
