//! What hostile components can call: each host function by a short name, with its signature in core WebAssembly.
//!
//! The types of the functions in the component model stand in `tests/isolation/wasi-0.2.wat` and `wasi-0.3.wat`; what
//! these come to as core functions is the canonical ABI's doing, and is checked when the component is compiled.

use std::fmt::Write as _;

use outport_e2e::guest::Wasi;

/// For the names that the code calls: the canonical definitions, the exports of an instance with them, and the imports
/// of a module that gets that instance as `host`.
pub(crate) fn used(wasi: Wasi, code: &str) -> (String, String, String) {
    let (functions, builtins) = match wasi {
        Wasi::V0_2 => (FUNCTIONS_0_2, BUILTINS_0_2),
        Wasi::V0_3 => (FUNCTIONS_0_3, BUILTINS_0_3),
    };
    let (mut lowered, mut given, mut imported) = (String::new(), String::new(), String::new());
    let mut add = |name: &str, definition: &str, signature: &str| {
        let called = code.split(|c: char| !(c.is_ascii_alphanumeric() || "$.-".contains(c)));
        if called
            .into_iter()
            .any(|word| word.strip_prefix('$') == Some(name))
        {
            let _ = writeln!(lowered, "(core func ${name} {definition})");
            let _ = write!(given, "(export \"{name}\" (func ${name}))");
            let _ = writeln!(
                imported,
                "  (import \"host\" \"{name}\" (func ${name} {signature}))"
            );
        }
    };
    for (name, instance, function, signature) in functions {
        let (instance, mode) = instance.split_once(' ').unwrap_or((instance, ""));
        let definition = format!(
            "(canon lower (func ${instance} \"{function}\") (memory $memory) (realloc $realloc) {mode})"
        );
        add(name, &definition, signature);
    }
    for (name, definition, signature) in builtins {
        add(name, definition, signature);
    }
    (lowered, given, imported)
}

type Function = (&'static str, &'static str, &'static str, &'static str);
type Builtin = (&'static str, &'static str, &'static str);

#[rustfmt::skip]
const FUNCTIONS_0_2: &[Function] = &[
    ("pollable.block", "poll", "[method]pollable.block", "(param i32)"),
    ("poll", "poll", "poll", "(param i32 i32 i32)"),
    ("input-stream.read", "streams", "[method]input-stream.read", "(param i32 i64 i32)"),
    ("input-stream.blocking-read", "streams", "[method]input-stream.blocking-read", "(param i32 i64 i32)"),
    ("input-stream.skip", "streams", "[method]input-stream.skip", "(param i32 i64 i32)"),
    ("input-stream.subscribe", "streams", "[method]input-stream.subscribe", "(param i32) (result i32)"),
    ("output-stream.check-write", "streams", "[method]output-stream.check-write", "(param i32 i32)"),
    ("output-stream.write", "streams", "[method]output-stream.write", "(param i32 i32 i32 i32)"),
    ("output-stream.blocking-write", "streams", "[method]output-stream.blocking-write-and-flush", "(param i32 i32 i32 i32)"),
    ("output-stream.write-zeroes", "streams", "[method]output-stream.write-zeroes", "(param i32 i64 i32)"),
    ("output-stream.blocking-write-zeroes", "streams", "[method]output-stream.blocking-write-zeroes-and-flush", "(param i32 i64 i32)"),
    ("output-stream.subscribe", "streams", "[method]output-stream.subscribe", "(param i32) (result i32)"),
    ("clock.now", "clock", "now", "(result i64)"),
    ("clock.subscribe", "clock", "subscribe-duration", "(param i64) (result i32)"),
    ("random", "random", "get-random-bytes", "(param i64 i32)"),
    ("insecure", "insecure", "get-insecure-random-bytes", "(param i64 i32)"),
    ("stdout", "stdout", "get-stdout", "(result i32)"),
    ("stderr", "stderr", "get-stderr", "(result i32)"),
    ("terminal", "terminal-stdout", "get-terminal-stdout", "(param i32)"),
    ("directories", "preopens", "get-directories", "(param i32)"),
    ("descriptor.read-via-stream", "filesystem", "[method]descriptor.read-via-stream", "(param i32 i64 i32)"),
    ("descriptor.read", "filesystem", "[method]descriptor.read", "(param i32 i64 i64 i32)"),
    ("descriptor.read-directory", "filesystem", "[method]descriptor.read-directory", "(param i32 i32)"),
    ("entries.next", "filesystem", "[method]directory-entry-stream.read-directory-entry", "(param i32 i32)"),
    ("descriptor.open-at", "filesystem", "[method]descriptor.open-at", "(param i32 i32 i32 i32 i32 i32 i32)"),
    ("descriptor.rename-at", "filesystem", "[method]descriptor.rename-at", "(param i32 i32 i32 i32 i32 i32 i32)"),
    ("descriptor.symlink-at", "filesystem", "[method]descriptor.symlink-at", "(param i32 i32 i32 i32 i32 i32)"),
    ("network", "instance-network", "instance-network", "(result i32)"),
    ("resolve", "lookup", "resolve-addresses", "(param i32 i32 i32 i32)"),
    ("tcp.create", "tcp-create", "create-tcp-socket", "(param i32 i32)"),
    ("tcp.start-connect", "tcp", "[method]tcp-socket.start-connect", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)"),
    ("tcp.finish-connect", "tcp", "[method]tcp-socket.finish-connect", "(param i32 i32)"),
    ("tcp.subscribe", "tcp", "[method]tcp-socket.subscribe", "(param i32) (result i32)"),
    ("udp.create", "udp-create", "create-udp-socket", "(param i32 i32)"),
    ("udp.start-bind", "udp", "[method]udp-socket.start-bind", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)"),
    ("udp.finish-bind", "udp", "[method]udp-socket.finish-bind", "(param i32 i32)"),
    ("udp.stream", "udp", "[method]udp-socket.stream", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)"),
    ("udp.check-send", "udp", "[method]outgoing-datagram-stream.check-send", "(param i32 i32)"),
    ("udp.send", "udp", "[method]outgoing-datagram-stream.send", "(param i32 i32 i32 i32)"),
    ("fields.new", "http", "[constructor]fields", "(result i32)"),
    ("fields.from-list", "http", "[static]fields.from-list", "(param i32 i32 i32)"),
    ("fields.append", "http", "[method]fields.append", "(param i32 i32 i32 i32 i32 i32)"),
    ("fields.entries", "http", "[method]fields.entries", "(param i32 i32)"),
    ("fields.clone", "http", "[method]fields.clone", "(param i32) (result i32)"),
    ("incoming-request.headers", "http", "[method]incoming-request.headers", "(param i32) (result i32)"),
    ("incoming-request.consume", "http", "[method]incoming-request.consume", "(param i32 i32)"),
    ("outgoing-request.new", "http", "[constructor]outgoing-request", "(param i32) (result i32)"),
    ("outgoing-request.body", "http", "[method]outgoing-request.body", "(param i32 i32)"),
    ("outgoing-request.set-method", "http", "[method]outgoing-request.set-method", "(param i32 i32 i32 i32) (result i32)"),
    ("outgoing-request.set-path", "http", "[method]outgoing-request.set-path-with-query", "(param i32 i32 i32 i32) (result i32)"),
    ("outgoing-request.set-scheme", "http", "[method]outgoing-request.set-scheme", "(param i32 i32 i32 i32 i32) (result i32)"),
    ("outgoing-request.set-authority", "http", "[method]outgoing-request.set-authority", "(param i32 i32 i32 i32) (result i32)"),
    ("request-options.new", "http", "[constructor]request-options", "(result i32)"),
    ("response-outparam.set", "http", "[static]response-outparam.set", "(param i32 i32 i32 i32 i64 i32 i32 i32 i32)"),
    ("incoming-response.consume", "http", "[method]incoming-response.consume", "(param i32 i32)"),
    ("incoming-body.stream", "http", "[method]incoming-body.stream", "(param i32 i32)"),
    ("outgoing-response.new", "http", "[constructor]outgoing-response", "(param i32) (result i32)"),
    ("outgoing-response.set-status", "http", "[method]outgoing-response.set-status-code", "(param i32 i32) (result i32)"),
    ("outgoing-response.body", "http", "[method]outgoing-response.body", "(param i32 i32)"),
    ("outgoing-body.write", "http", "[method]outgoing-body.write", "(param i32 i32)"),
    ("outgoing-body.finish", "http", "[static]outgoing-body.finish", "(param i32 i32 i32 i32)"),
    ("future.subscribe", "http", "[method]future-incoming-response.subscribe", "(param i32) (result i32)"),
    ("future.get", "http", "[method]future-incoming-response.get", "(param i32 i32)"),
    ("outgoing.handle", "outgoing", "handle", "(param i32 i32 i32 i32)"),
];

#[rustfmt::skip]
const BUILTINS_0_2: &[Builtin] = &[
    ("drop.entries", "(canon resource.drop $directory-entry-stream)", "(param i32)"),
    ("drop.output-stream", "(canon resource.drop $output-stream)", "(param i32)"),
    ("drop.pollable", "(canon resource.drop $pollable)", "(param i32)"),
    ("own.new", "(canon resource.new $own)", "(param i32) (result i32)"),
];

#[rustfmt::skip]
const FUNCTIONS_0_3: &[Function] = &[
    ("clock.wait-for", "clock", "wait-for", "(param i64)"),
    ("clock.start-wait", "clock async", "wait-for", "(param i64) (result i32)"),
    ("random", "random", "get-random-bytes", "(param i64 i32)"),
    ("resolve", "lookup", "resolve-addresses", "(param i32 i32 i32)"),
    ("start-resolve", "lookup async", "resolve-addresses", "(param i32 i32 i32) (result i32)"),
    ("stdout", "stdout", "write-via-stream", "(param i32) (result i32)"),
    ("fields.new", "http", "[constructor]fields", "(result i32)"),
    ("fields.append", "http", "[method]fields.append", "(param i32 i32 i32 i32 i32 i32)"),
    ("fields.clone", "http", "[method]fields.clone", "(param i32) (result i32)"),
];

#[rustfmt::skip]
const BUILTINS_0_3: &[Builtin] = &[
    ("own.new", "(canon resource.new $own)", "(param i32) (result i32)"),
    ("stream.new", "(canon stream.new $bytes)", "(result i64)"),
    ("stream.write", "(canon stream.write $bytes (memory $memory) async)", "(param i32 i32 i32) (result i32)"),
    ("future.new", "(canon future.new $one)", "(result i64)"),
    ("set.new", "(canon waitable-set.new)", "(result i32)"),
    ("error-context.new", "(canon error-context.new (memory $memory))", "(param i32 i32) (result i32)"),
];
