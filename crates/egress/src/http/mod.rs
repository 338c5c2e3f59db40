//! Outgoing `wasi:http`, of WASI 0.2 and 0.3 alike.

mod hooks;

pub use hooks::GateHooks;
