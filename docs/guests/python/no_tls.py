"""Stands in for the module `ssl`, which CPython for WebAssembly does not have: import this module before a package that
cannot be imported without one.

There is no TLS by it. Whoever asks for a context is told so.
"""

import asyncio  # before the module is replaced: it looks whether there is one, and does without
import sys
import types


class NoTls(types.ModuleType):
    def __getattr__(self, name):
        """A type of this name, for those who inherit from it, or ask whether something is of it."""
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (OSError,) if name.endswith("Error") else (object,), {})
        setattr(self, name, made)
        return made

    def create_default_context(self, *arguments, **options):
        raise NotImplementedError("there is no TLS in this component: the module `ssl` is a stand-in")

    _create_unverified_context = create_default_context


try:
    import ssl
except ImportError:
    sys.modules["ssl"] = NoTls("ssl")
