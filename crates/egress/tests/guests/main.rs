//! Real guests behind the gate: the script guest on WASI 0.2 and on WASI 0.3, from the same tables.

#![allow(clippy::unwrap_used, reason = "what a test cannot set up ends it")]
#![allow(clippy::disallowed_methods, reason = "tests are the peers of guests")]

mod http;
mod script_guest;
mod servers;
mod sockets;
mod world;
