//! What an operator's tools see of a process: metrics, traces, logs, the access log and the admin listener.
//!
//! What happens is told where it happens, by [`outport_egress`] and [`outport_runtime`]; this crate subscribes. Nothing in
//! it is in the way of a guest: what a tool does not fetch, or a collector does not take, is counted and dropped.

pub mod access_log;
pub mod admin;
pub mod otlp;
pub mod process;
pub mod registry;

/// The metrics of this crate.
pub use process::METRICS;
