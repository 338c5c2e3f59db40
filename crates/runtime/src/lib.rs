//! Runs components behind the gate.
//!
//! ```text
//! file ─ Component::load ─ GuestPre::link ─┬─ Command::new ─ run        one instance, to its exit code
//!          │  compiled code    + gate        └─ http::Server ─ serve     one instance a request, or an event
//!          └─ cache            + environment
//!                              + limits
//! ```
//!
//! Everything up to [`guest_pre::GuestPre`] happens once, at start; what is left for each instance is to make it.
//! The network is not this crate's business: a prepared component carries its gate, and every instance gets a
//! context of that gate into its store.

mod account;
pub mod app;
pub mod cache;
pub mod command;
pub mod compiler;
pub mod component;
pub mod descriptors;
mod directory_entries;
pub mod engine;
mod failure_log;
pub mod files;
mod guest;
pub mod guest_env;
pub mod guest_pre;
mod guest_table;
pub mod heap;
pub mod helper;
pub mod http;
pub mod inspection;
mod instance_counts;
pub mod limits;
mod linker;
pub mod memory_ceiling;
mod metrics;
mod open_files;
mod random;
pub mod sandbox;
pub mod stdio;
pub mod trap;
pub mod triggers;
pub mod variables;
mod wasi_2023;

pub use self::metrics::METRICS;
pub use linker::{GuestLinker, NotInherited, NotProvided, is_provided};
