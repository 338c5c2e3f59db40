//! Real guests behind the gate: the script guest on WASI 0.2 and on WASI 0.3, from the same tables.

#![allow(clippy::unwrap_used, reason = "what a test cannot set up ends it")]
#![allow(clippy::disallowed_methods, reason = "tests are the peers of guests")]

#[path = "../../src/testing/counted.rs"]
mod counted;
mod http;
mod observed;
mod script_guest;
mod servers;
mod sockets;
#[path = "../../src/testing/traced.rs"]
#[allow(dead_code, reason = "the tests of the library need more of it")]
mod traced;
mod world;

// What is shared with the tests of the library names it as they do.
use outport_egress::trace;
