"""Says hello: what starting CPython takes is all that it takes."""

import wit_world.exports


class Run(wit_world.exports.Run):
    def run(self):
        print("hello", flush=True)
