//! Hostile components: the text of a `handle` function in, a component of WASI 0.2 or 0.3 out.
//!
//! ```text
//! Hostile ─┬─ pages, body ─► core module `main`: handle, and the functions of `functions` that the body names
//!          ├─ outside     ─► further parts of the component, before `main`
//!          └─ wasi        ─► tests/isolation/wasi-0.2.wat or wasi-0.3.wat: what it imports
//! ```
//!
//! The body is the text of a core function with the locals `$i`, `$j`, `$k` (i32) and `$t` (i64). Its first parameter
//! is `$request`; for WASI 0.2 `$out`, the response outparam, is the second. It calls host functions by the names of
//! [`functions`](crate::functions), `$drop.TYPE` to drop a handle, and the helpers at the end of this file. It answers
//! nothing unless it calls `$respond`: its client gets 500, which is all that a hostile component deserves.
//!
//! Memory below 512 KiB is the body's own (results of the host go to 1024 by convention); what the host allocates goes to
//! the second half of the first MiB, round and round, so that it never fills the memory.

use std::fmt::Write as _;
use std::fs;

use outport_e2e::guest::{Wasi, workspace};

use crate::functions;

/// A component that answers HTTP, in the making.
pub(crate) struct Hostile {
    wasi: Wasi,
    pages: u32,
    body: String,
    outside: String,
    items: String,
}

impl Hostile {
    /// A component of WASI 0.2 that does this for every request.
    pub(crate) fn new(body: impl Into<String>) -> Self {
        Self {
            wasi: Wasi::V0_2,
            pages: 16,
            body: body.into(),
            outside: String::new(),
            items: String::new(),
        }
    }

    /// The same of WASI 0.3.
    pub(crate) fn of_0_3(body: impl Into<String>) -> Self {
        Self {
            wasi: Wasi::V0_3,
            ..Self::new(body)
        }
    }

    /// How many pages of 64 KiB its memory has, instead of 16.
    pub(crate) fn pages(self, pages: u32) -> Self {
        Self { pages, ..self }
    }

    /// Further parts of the component.
    pub(crate) fn outside(self, outside: impl Into<String>) -> Self {
        Self {
            outside: outside.into(),
            ..self
        }
    }

    /// Further items of the core module: tables, data, functions.
    pub(crate) fn items(self, items: impl Into<String>) -> Self {
        Self {
            items: items.into(),
            ..self
        }
    }

    /// The binary component.
    ///
    /// # Panics
    ///
    /// If the text is none of a component.
    pub(crate) fn build(&self) -> Vec<u8> {
        let text = self.text();
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn text(&self) -> String {
        let (file, export, lift, signature) = match self.wasi {
            Wasi::V0_2 => (
                "wasi-0.2.wat",
                "wasi:http/incoming-handler@0.2.0",
                LIFT_0_2,
                CORE_0_2,
            ),
            Wasi::V0_3 => ("wasi-0.3.wat", "wasi:http/handler@0.3.0", LIFT_0_3, CORE_0_3),
        };
        let prelude = fs::read_to_string(workspace().join("tests/isolation").join(file));
        let prelude = prelude.expect("the imports lie beside the suite");
        let helpers = helpers(self.wasi, &format!("{}{}", self.body, self.items));
        let code = format!("{}{}{helpers}", self.body, self.items);
        let (lowered, given, imported) = functions::used(self.wasi, &code);
        let (pages, outside, items, body) = (self.pages, &self.outside, &self.items, &self.body);
        let end = match self.wasi {
            Wasi::V0_2 => "",
            Wasi::V0_3 => FAILED_0_3,
        };
        format!(
            r#"(component
{prelude}
(core module $libc
  (memory (export "memory") {pages})
  (global $next (mut i32) (i32.const {SCRATCH}))
  (func (export "realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32) (local $end i32) (local $missing i32)
    (if (i32.gt_u (i32.add (global.get $next) (local.get 3)) (i32.const {SCRATCH_END}))
      (then (global.set $next (i32.const {SCRATCH}))))
    (local.set $at (global.get $next))
    (local.set $end (i32.and (i32.add (i32.add (local.get $at) (local.get 3)) (i32.const 15)) (i32.const -8)))
    (global.set $next (local.get $end))
    (local.set $missing (i32.sub (i32.shr_u (i32.add (local.get $end) (i32.const 65535)) (i32.const 16)) (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then unreachable))))
    local.get $at))
(core instance $libc (instantiate $libc))
(alias core export $libc "memory" (core memory $memory))
(alias core export $libc "realloc" (core func $realloc))
(type $own (resource (rep i32)))
{lowered}
{outside}
(core module $main
  (import "libc" "memory" (memory $memory 1))
{imported}
{helpers}
{items}
  (func (export "handle") {signature} (local $i i32) (local $j i32) (local $k i32) (local $t i64)
    {body}
    {end}))
(core instance $main (instantiate $main
  (with "libc" (instance $libc))
  (with "host" (instance {given}))))
{lift}
(instance $handler (export "handle" (func $handle)))
(export "{export}" (instance $handler)))
"#
        )
    }
}

/// Where the host's results lie.
const SCRATCH: u32 = 512 * 1024;
/// Where the next one would lie begins again at [`SCRATCH`].
const SCRATCH_END: u32 = 1024 * 1024;

const CORE_0_2: &str = "(param $request i32) (param $out i32)";
const LIFT_0_2: &str = r#"(func $handle (param "request" (own $incoming-request)) (param "response-out" (own $response-outparam))
  (canon lift (core func $main "handle")))"#;

const CORE_0_3: &str = "(param $request i32) (result i32)";
const LIFT_0_3: &str = r#"(func $handle async (param "request" (own $request)) (result (result (own $response) (error $http-error)))
  (canon lift (core func $main "handle") (memory $memory) (realloc $realloc)))"#;

/// `internal-error` without a text.
const FAILED_0_3: &str = r"
    (i32.store (i32.const 2048) (i32.const 1))
    (i32.store8 (i32.const 2056) (i32.const 38))
    (i32.store8 (i32.const 2064) (i32.const 0))
    i32.const 2048";

/// The text of `body`, so many times, counted down in the local `counter`.
pub(crate) fn times(counter: &str, number: u32, body: &str) -> String {
    format!(
        "(local.set ${counter} (i32.const {number}))
    (loop $loop-{counter}
      {body}
      (br_if $loop-{counter} (local.tee ${counter} (i32.sub (local.get ${counter}) (i32.const 1)))))"
    )
}

/// The text of `body`, without end.
pub(crate) fn forever(body: &str) -> String {
    format!("(loop $forever {body} (br $forever))")
}

/// A data segment: `text` at `address`.
pub(crate) fn data(address: u32, text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        let _ = write!(escaped, "\\{byte:02x}");
    }
    format!("(data (i32.const {address}) \"{escaped}\")\n")
}

/// The helpers that the code names, and those that they name.
fn helpers(wasi: Wasi, code: &str) -> String {
    let all: &[(&str, &str)] = match wasi {
        Wasi::V0_2 => &[
            ("$repeat", REPEAT),
            ("$hold", HOLD_0_2),
            ("$respond", RESPOND_0_2),
            ("$get", GET_0_2),
            ("$stream-of", STREAM_OF_0_2),
        ],
        Wasi::V0_3 => &[("$repeat", REPEAT), ("$hold", HOLD_0_3)],
    };
    let mut text = String::new();
    for (name, helper) in all {
        if code.contains(&format!("call {name} ")) {
            text.push_str(helper);
        }
    }
    text
}

/// Repeats the first `$length` bytes at `$at` until there are `$total`.
const REPEAT: &str = r"
  (func $repeat (param $at i32) (param $length i32) (param $total i32) (local $done i32) (local $next i32)
    (local.set $done (local.get $length))
    (block $end (loop $more
      (br_if $end (i32.ge_u (local.get $done) (local.get $total)))
      (local.set $next (i32.sub (local.get $total) (local.get $done)))
      (if (i32.gt_u (local.get $next) (local.get $done)) (then (local.set $next (local.get $done))))
      (memory.copy (i32.add (local.get $at) (local.get $done)) (local.get $at) (local.get $next))
      (local.set $done (i32.add (local.get $done) (local.get $next)))
      (br $more))))
";

/// Waits so many milliseconds.
const HOLD_0_2: &str = r"
  (func $hold (param $ms i64) (local $pollable i32)
    (local.set $pollable (call $clock.subscribe (i64.mul (local.get $ms) (i64.const 1000000))))
    (call $pollable.block (local.get $pollable))
    (call $drop.pollable (local.get $pollable)))
";

const HOLD_0_3: &str = r"
  (func $hold (param $ms i64)
    (call $clock.wait-for (i64.mul (local.get $ms) (i64.const 1000000))))
";

/// Answers with a status, and gives the stream of the body.
const RESPOND_0_2: &str = r"
  (func $respond (param $out i32) (param $status i32) (result i32) (local $response i32)
    (local.set $response (call $outgoing-response.new (call $fields.new)))
    (drop (call $outgoing-response.set-status (local.get $response) (local.get $status)))
    (call $outgoing-response.body (local.get $response) (i32.const 1024))
    (call $outgoing-body.write (i32.load (i32.const 1028)) (i32.const 1032))
    (call $response-outparam.set (local.get $out) (i32.const 0) (local.get $response) (i32.const 0) (i64.const 0)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (i32.load (i32.const 1036)))
";

/// Sends `GET /` by HTTP, or with `$scheme` 1 by HTTPS, to the authority of `$length` bytes at 64. Gives
/// the future of the response, or no handle if there is none.
const GET_0_2: &str = r"
  (func $get (param $scheme i32) (param $length i32) (result i32) (local $asked i32)
    (local.set $asked (call $outgoing-request.new (call $fields.new)))
    (drop (call $outgoing-request.set-scheme (local.get $asked) (i32.const 1) (local.get $scheme) (i32.const 0) (i32.const 0)))
    (drop (call $outgoing-request.set-authority (local.get $asked) (i32.const 1) (i32.const 64) (local.get $length)))
    (i32.store8 (i32.const 60) (i32.const 47))
    (drop (call $outgoing-request.set-path (local.get $asked) (i32.const 1) (i32.const 60) (i32.const 1)))
    (call $outgoing.handle (local.get $asked) (i32.const 0) (i32.const 0) (i32.const 1024))
    (select (i32.const 0) (i32.load (i32.const 1032)) (i32.load8_u (i32.const 1024))))
";

/// The body of the response that this future brings, once it is there.
const STREAM_OF_0_2: &str = r"
  (func $stream-of (param $future i32) (result i32) (local $pollable i32) (local $body i32)
    (local.set $pollable (call $future.subscribe (local.get $future)))
    (call $pollable.block (local.get $pollable))
    (call $drop.pollable (local.get $pollable))
    (call $future.get (local.get $future) (i32.const 1024))
    (if (i32.load8_u (i32.const 1040)) (then unreachable))
    (call $incoming-response.consume (i32.load (i32.const 1048)) (i32.const 1100))
    (call $incoming-body.stream (i32.load (i32.const 1104)) (i32.const 1108))
    (i32.load (i32.const 1112)))
";
