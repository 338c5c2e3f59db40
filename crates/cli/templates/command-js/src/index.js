// Runs once, from start to end.

export const run = {
  run() {
    console.log("Hello from JavaScript!");
  },
};
