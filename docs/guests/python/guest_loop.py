"""An event loop of asyncio for components, where there is no pair of sockets and there are no threads.

    with asyncio.Runner(loop_factory=GuestLoop) as runner:
        runner.run(main())

The loops of the standard library wake themselves by a pair of connected sockets, for threads and signals. To make one, a
socket has to listen, which no component may. There are neither threads nor signals in a component, so that nobody would
ever write to it: this loop does without, and calls what others hand to a thread (look-ups of names, for example) at once.
"""

import asyncio
import selectors
import socket


class GuestLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        super().__init__(selectors.SelectSelector())

    def _make_self_pipe(self):
        self._ssock = self._csock = None

    def _close_self_pipe(self):
        pass

    def _write_to_self(self):
        pass

    def run_in_executor(self, executor, function, *arguments):
        """Calls the function now. Everything else waits meanwhile."""
        future = self.create_future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    async def shutdown_default_executor(self, timeout=None):
        pass

