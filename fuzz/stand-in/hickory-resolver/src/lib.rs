//! The gate reads messages by way of `hickory-resolver`, which passes on what `hickory-proto` has. The fuzz target
//! for answers needs no resolver, and the dozens of crates that one brings would be built with it.

pub use hickory_proto as proto;
