//! Where components and apps come from: files, URLs and registries, and the cache of what was fetched.
//!
//! All of it is the operator's doing: his client, his proxy, his authorities, his cache. No permission of a guest matters
//! here, and none is granted; what comes of it is a file with the digest that it must have, which the runtime compiles
//! like any other.

pub mod cache;
pub mod fetching;
pub mod http;
pub mod lock;
pub mod oci;
pub mod packages;
pub mod progress;
mod wanted;

#[cfg(test)]
mod test_server;

pub use self::wanted::{Wanted, requested_packages, wanted};
