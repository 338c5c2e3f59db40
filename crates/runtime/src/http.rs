//! The HTTP trigger: serves components that export `wasi:http/incoming-handler` (WASI 0.2), `wasi:http/handler`
//! (WASI 0.3) or `fermyon:spin/inbound-http` (Spin's first), and commands by CGI where their trigger says so.
//!
//! ```text
//! Listeners ── one a worker thread ── connection ── request
//!                                                     │ Router: route, Spin's headers, a slot among the running
//!                                                     │ HttpComponent: an instance, its answer
//!                                                     ▼
//!                                                  response
//! ```
//!
//! Requests of the app's components to each other enter at the router, without a connection.
//!
//! A request to a component of WASI 0.2, or of Spin's first interface, gets an instance of its own, with grants of its own. An instance of WASI 0.3
//! answers several requests, which then share its grants; how many, is for the operator to say
//! ([`Reuse`](crate::limits::Reuse)). Bodies are streamed in both directions, never collected; but
//! for Spin's first interface, which has them whole.

mod authority;
mod chaining;
mod client_body;
mod client_socket;
mod clients;
mod concurrency_limit;
mod connection;
mod connection_counts;
mod events;
mod exchange;
mod headers;
mod health;
mod holding_body;
mod http_component;
mod inbound_http;
mod instance_queue;
mod leaving;
mod listeners;
mod occasional;
mod request_counts;
mod request_record;
mod request_trace;
mod response_body;
mod route_labels;
mod router;
mod routes;
mod server;
mod shared_instance;
mod stall;
mod streams;
mod tls;
mod transport;
mod wagi;
mod waiting_room;
mod wanted_body;
mod warm_instances;

pub use chaining::IN_PROCESS;
pub(crate) use concurrency_limit::RequestSlot;
pub use http_component::{HttpComponent, NotAnHttpComponent};
pub(crate) use leaving::Leave;
pub use listeners::{ListenError, Listeners};
pub use request_record::{RequestObserver, RequestRecord};
pub use router::{RouteAnswer, RouteEntry, Router};
pub use routes::{RouteTable, Routed};
pub(crate) use server::Phase;
pub use server::{ServeError, Server, ServerLimits};
pub use tls::{
    AuthoritiesProblem, CertificateChain, CertificateProblem, ClientAuthorities, PemProblem, PrivateKey,
    ServerCertificate, ServerTls, ServerTlsError, Validity,
};
