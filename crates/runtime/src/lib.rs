//! Runs components behind the gate.
//!
//! ```text
//! file ─ Component::load ─ Workshop::prepare ─┬─ Command::new ─ run        one instance, to its exit code
//!          │  compiled code    + gate          └─ http::Server ─ serve     one instance a request
//!          └─ cache            + surroundings
//!                              + limits
//! ```
//!
//! Everything up to [`prepared::Prepared`] happens once, at start; what is left for each instance is to make it.
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
mod excerpt;
pub mod files;
mod guest;
mod guest_table;
pub mod heap;
pub mod http;
pub mod limits;
mod linker;
pub mod memory_ceiling;
mod mishaps;
mod open_files;
pub mod prepared;
mod random;
pub mod regular_file;
pub mod sandbox;
pub mod stdio;
pub mod surroundings;
pub mod trap;
pub mod variables;

pub use linker::{NotInherited, NotProvided, is_provided};
