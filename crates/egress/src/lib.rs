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
//! Two steps: keep a [`GateCtx`] in the store's data, by [`GateCtx::with_wasi`] or in data of your own that implements
//! [`GateView`]; and call [`add_wasi_to_linker`], or [`add_to_linker`] after whatever else links interfaces of WASI. The
//! [`WasiCtx`](wasmtime_wasi::WasiCtx) needs no network settings, and should have none: the sockets that pass the gate do not
//! look at them, and where the gate was forgotten, nothing is reached at all.
//!
//! # Example
//!
//! A host that runs a command, which may reach the entries that are given behind it:
//!
//! ```no_run
//! use outport_egress::{Egress, add_wasi_to_linker};
//! use outport_policy::AllowList;
//! use wasmtime::component::{Component, Linker};
//! use wasmtime::{Engine, Store, bail};
//! use wasmtime_wasi::p2::bindings::Command;
//! use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};
//!
//! #[tokio::main]
//! async fn main() -> wasmtime::Result<()> {
//!     let arguments: Vec<String> = std::env::args().skip(1).collect();
//!     let [component, entries @ ..] = arguments.as_slice() else {
//!         bail!("write COMPONENT.wasm ENTRY…, an entry being such as `*://db.example.com:5432`");
//!     };
//!     run(component, entries, WasiCtx::builder().inherit_stdio()).await
//! }
//!
//! pub async fn run(component: &str, entries: &[String], wasi: &mut WasiCtxBuilder) -> wasmtime::Result<()> {
//!     let gate = Egress::builder()
//!         .build()?
//!         .gate(component, AllowList::parse(entries)?.into());
//!     let engine = Engine::default();
//!     let mut linker = Linker::new(&engine);
//!     add_wasi_to_linker(&mut linker)?;
//!
//!     let mut store = Store::new(&engine, gate.open().with_wasi(wasi.build()));
//!     let component = Component::from_file(&engine, component)?;
//!     let command = Command::instantiate_async(&mut store, &component, &linker).await?;
//!     let Ok(()) = command.wasi_cli_run().call_run(&mut store).await? else {
//!         bail!("the component failed");
//!     };
//!     Ok(())
//! }
//! ```
//!
//! `docs/embedding.md` has more of them, each a file in `tests/embedding`: a host that was there before, WASI 0.3, a policy that
//! is replaced, a sink, quotas, an interface of the host's own.
//!
//! # Cargo features
//!
//! All are on by default. What a build leaves out has no gate, so its way out is shut where somebody else linked it.
//!
//! | feature | adds | without it |
//! | --- | --- | --- |
//! | `http` | outgoing HTTP of WASI and of Spin's first interfaces; needs `tls` | a guest that sends by `wasi:http` is stopped |
//! | `p3` | WASI 0.3 | components that use the network of WASI 0.3 are stopped, or not instantiated |
//! | `tls` | TLS of HTTP, of [`Dialer`] and on streams of a guest's own | |
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
#![cfg_attr(
    not(all(feature = "http", feature = "p3")),
    allow(dead_code, reason = "what only the parts that are left out ask for")
)]

mod asking;
mod audit;
mod byte_budget;
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
#[cfg(feature = "http")]
mod http;
pub mod line_log;
mod linking;
mod lookup;
pub mod meter;
mod metrics;
mod outgoing;
pub mod p2;
#[cfg(feature = "p3")]
mod p3;
#[cfg(feature = "http")]
mod part;
mod process;
mod proxy;
mod shut;
#[cfg(any(test, not(all(feature = "http", feature = "p3"))))]
mod shut_interfaces;
mod sockets;
mod spans;
#[cfg(feature = "http")]
pub mod spin_v1;
mod state;
#[cfg(feature = "tls")]
mod stream_tls;
#[cfg(test)]
mod testing;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
mod tls {
    //! There is no TLS.

    /// Nothing to know of it.
    #[derive(Default)]
    pub(crate) struct Tls;
}
mod tls_usage;
pub mod trace;
mod usage_counter;

pub use asking::{PendingReply, Question, Questioner, Reply};
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
#[cfg(feature = "http")]
pub use http::{Ending, GateHooks, Internal, InternalDestination};
pub use linking::{add_to_linker, add_wasi_to_linker};
pub use metrics::Metrics;
#[cfg(feature = "http")]
pub use part::{PartViews, add_for_part};
pub use process::{Carried, LivingGrant, LivingGrants, Replacements};
pub use proxy::{
    Credentials, CredentialsError, EgressProxies, Exceptions, ExceptionsError, ProxyServer, ProxyServerError,
    ProxyWatch,
};
pub use shut::ShutGate;
pub use state::WasiState;
#[cfg(feature = "tls")]
pub use stream_tls::{SecuredStream, StreamTls, StreamTlsError, TlsHandshake};
#[cfg(feature = "tls")]
pub use tls::{TlsProfile, TlsProfileBuilder, TlsProfileError};
