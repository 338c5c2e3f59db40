//! The gate between a WebAssembly guest and the network, for embedders of wasmtime.
//!
//! A guest on WASI reaches the network by sockets, by looking names up, and by outgoing HTTP. This crate puts one
//! gate in front of all three, on WASI 0.2 and 0.3: every attempt is judged by the policy of
//! [`outport_policy`], what is judged is exactly what is connected to, and every decision can be told to an
//! [`AuditSink`].
//!
//! ```text
//! Egress               one a process: the operator's policy, the resolver, the sinks
//!  └─ Gate             one a component: the author's allow list
//!      └─ GateCtx      one a store: what this instance looked up, whom it sent datagrams to, what it holds
//! ```
//!
//! Three steps: keep a [`GateCtx`] in the store's data and give it out by [`GateView`]; call [`add_to_linker`]
//! after the `add_to_linker` functions of `wasmtime-wasi` and `wasmtime-wasi-http`; give
//! [`GateCtx::http_hooks`] to the `wasi:http` context. The [`WasiCtx`](wasmtime_wasi::WasiCtx) needs no network
//! settings, and should have none: the sockets that pass the gate do not look at them, and where a step was
//! forgotten, nothing is reached at all.
//!
//! # Example
//!
//! A component that may connect to one address, and is told so by nobody but the policy:
//!
//! ```
//! use std::sync::Arc;
//!
//! use outport_egress::{GateCtx, GateCtxView, GateView, Egress};
//! use outport_policy::{AllowList, Entry, Location};
//! use wasmtime::component::{Component, Linker, ResourceTable};
//! use wasmtime::{Engine, Store};
//! use wasmtime_wasi::p2::bindings::Command;
//! use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
//! use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
//! use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
//!
//! struct State {
//!     wasi: WasiCtx,
//!     http: WasiHttpCtx,
//!     gate: GateCtx,
//!     table: ResourceTable,
//! }
//!
//! impl WasiView for State {
//!     fn ctx(&mut self) -> WasiCtxView<'_> {
//!         WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
//!     }
//! }
//!
//! impl WasiHttpView for State {
//!     fn http(&mut self) -> WasiHttpCtxView<'_> {
//!         WasiHttpCtxView { hooks: self.gate.http_hooks(), table: &mut self.table, ctx: &mut self.http }
//!     }
//! }
//!
//! impl GateView for State {
//!     fn gate(&mut self) -> GateCtxView<'_> {
//!         GateCtxView { ctx: &mut self.gate, table: &mut self.table }
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> wasmtime::Result<()> {
//!     // A server to reach, and a policy that lets the component reach it.
//!     let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//!     let address = server.local_addr()?;
//!     let entry = Entry::parse(&format!("*://{address}"), Location::Code)?;
//!     let egress = Egress::builder().build()?;
//!     let gate = egress.gate("script-guest", Arc::new(AllowList::compile(vec![entry])));
//!
//!     // The linker: WASI as it is, then the gate in front of its network.
//!     let engine = Engine::default();
//!     let mut linker = Linker::<State>::new(&engine);
//!     wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
//!     wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
//!     outport_egress::p2::add_to_linker(&mut linker)?;
//!     outport_egress::p2::add_http_to_linker(&mut linker)?;
//!
//!     // A component that does what its arguments say: connect there, then elsewhere.
//!     let script_guest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guests/wasm/script-guest.wasm");
//!     let component = Component::from_file(&engine, script_guest)?;
//!     let connect = format!("tcp.connect {address}");
//!     let output = MemoryOutputPipe::new(4096);
//!     let mut wasi = WasiCtx::builder();
//!     wasi.args(&["script-guest", connect.as_str(), "tcp.connect 127.0.0.1:22"]).stdout(output.clone());
//!
//!     let state =
//!         State { wasi: wasi.build(), http: WasiHttpCtx::new(), gate: gate.open(), table: ResourceTable::new() };
//!     let mut store = Store::new(&engine, state);
//!     let command = Command::instantiate_async(&mut store, &component, &linker).await?;
//!     assert!(command.wasi_cli_run().call_run(&mut store).await?.is_ok());
//!
//!     let said = String::from_utf8(output.contents().to_vec())?;
//!     assert_eq!(said, format!("1 {connect} => ok\n2 tcp.connect 127.0.0.1:22 => access-denied\n"));
//!     assert_eq!(egress.metrics().denied["runtime.loopback-port"], 1);
//!     Ok(())
//! }
//! ```
//!
//! # What this crate needs and does not do
//!
//! - Guests run on a tokio runtime with time and I/O; any number of runtimes on any threads will do.
//! - It bounds sockets, look-ups and connections. Time, memory and computing of a guest are the embedder's to bound;
//!   what the gate itself does for a guest can be charged to a [`HostAccount`] of the embedder's.
//! - A decision is made when a connection is opened and for each datagram. A TCP connection that is open stays so,
//!   whatever becomes of the grants, unless [`Egress::replace_operator`] puts a deny list in force that forbids it.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests are the peers of guests")
)]

mod audit;
pub mod counts;
mod ctx;
pub mod dedup;
mod denied;
mod dial;
mod dns;
mod egress;
mod enforcer;
mod established;
mod followed;
mod gate;
mod host_account;
mod host_calls;
mod http;
pub mod line_log;
mod lookup;
pub mod meter;
mod metrics;
pub mod p2;
pub mod p3;
mod part;
mod process;
mod proxy;
mod shut;
mod sockets;
mod spans;
pub mod spin_v1;
mod stream_tls;
#[cfg(test)]
mod testing;
pub mod trace;
mod usage_counter;

pub use audit::{
    AUDIT_LOG, AlsoRefused, AuditEvent, AuditLog, AuditOutcome, AuditSink, DenialReporter, EndedBy, Outcomes,
    Stage, Timestamp, Verdict,
};
pub use counts::METRICS;
pub use ctx::{GateCtx, GateCtxView, GateView};
pub use denied::Denied;
pub use dial::{
    AuthorizedDestination, CONNECT_TIME, ConnectionHandle, Destination, DialError, Dialer, HostConnection,
    IntroductionFailure, LookupFailure, NotIntroduced, Pool, Pooled,
};
pub use dns::{
    Answer, DnsServerError, Extent, Refresher, Resolve, ResolveError, Resolver, ResolverError, ResolverParts,
    parse_dns_server,
};
pub use egress::{Egress, EgressBuilder, EgressError, WeakEgress};
pub use gate::{Gate, PartGate};
pub use host_account::HostAccount;
pub use host_calls::{HostCalls, HostInterface};
pub use http::{
    Ending, GateHooks, Internal, InternalDestination, TlsProfile, TlsProfileBuilder, TlsProfileError,
};
pub use metrics::Metrics;
pub use part::{PartViews, add_for_part};
pub use process::Replacements;
pub use proxy::{
    Credentials, CredentialsError, EgressProxies, Exceptions, ExceptionsError, ProxyServer, ProxyServerError,
    ProxyWatch,
};
pub use shut::ShutGate;
pub use stream_tls::{SecuredStream, StreamTls, StreamTlsError, TlsHandshake};

/// Puts the gate in front of the sockets and look-ups of WASI 0.2 and 0.3; [`p2::add_to_linker`] and
/// [`p3::add_to_linker`] do it for one of them. To be called after the `add_to_linker` functions of
/// `wasmtime-wasi`, whose interfaces it replaces.
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
