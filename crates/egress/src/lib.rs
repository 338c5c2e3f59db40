//! The gate on wasmtime: what a guest's sockets, look-ups and HTTP requests pass before they leave.
mod audit;
mod ctx;
mod dns;
mod gate;
mod http;
mod instance;
mod lookup;
pub mod p2;
pub mod p3;
mod pass_on;
mod sockets;
mod tally;
#[cfg(test)]
mod testing;
mod wall;

pub use audit::{AuditEvent, AuditLog, AuditLogError, AuditSink, DenialReporter, Timestamp, Verdict};
pub use ctx::{GateCtx, GateCtxView, GateView};
pub use dns::{
    Answer, DnsServerError, Refresher, Resolve, ResolveError, Resolver, ResolverError, ResolverParts,
    parse_dns_server,
};
pub use gate::Gate;
pub use http::{GateHooks, Internal, InternalDestination, TlsProfile, TlsProfileBuilder, TlsProfileError};
pub use tally::Tally;
pub use wall::{Wall, WallBuilder, WallError};

/// Puts the gate in front of everything that a guest can use the network with: sockets and look-ups of WASI 0.2 and
/// 0.3. To be called after the `add_to_linker` functions of `wasmtime-wasi`, whose interfaces it replaces.
///
/// # Errors
///
/// What the linker reports.
pub fn add_to_linker<T: GateView + 'static>(
    linker: &mut wasmtime::component::Linker<T>,
) -> wasmtime::Result<()> {
    p2::add_to_linker(linker)?;
    p3::add_to_linker(linker)
}
