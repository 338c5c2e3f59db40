//! The system calls by which a guest's socket reaches somebody. Each takes the permit to do so, and gives the system the
//! address that the permit is for; nothing else in this crate makes them for a guest, which `clippy.toml` holds.

use std::os::fd::AsFd;

use rustix::io::Result;

use crate::enforcer::ConnectPermit;

/// Begins to connect, or asks how the connection that has begun is doing.
#[expect(clippy::disallowed_methods, reason = "there is a permit for this address")]
pub(super) fn connect(socket: impl AsFd, permit: &ConnectPermit) -> Result<()> {
    rustix::net::connect(socket, &permit.remote())
}
