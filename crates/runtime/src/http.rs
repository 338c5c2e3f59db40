//! The HTTP trigger: serves components that export `wasi:http/incoming-handler` (WASI 0.2) or `wasi:http/handler`
//! (WASI 0.3).
//!
//! ```text
//! Listeners ── one a worker thread ── connection ── request
//!                                                     │ Site: route, Spin's headers, a place among the running
//!                                                     │ Responder: an instance, its answer
//!                                                     ▼
//!                                                  response
//! ```
//!
//! Requests of the app's components to each other enter at the site, without a connection.
//!
//! A request to a component of WASI 0.2 gets an instance of its own, with grants of its own. An instance of WASI 0.3
//! answers several requests, which then share its grants; how many, is for the operator to say
//! ([`Reuse`](crate::limits::Reuse)). Bodies are streamed in both directions, never collected.

mod authority;
mod chaining;
mod client_body;
mod client_socket;
mod clients;
mod connection;
mod headers;
mod holding_body;
mod inbox;
mod last_turn;
mod leaving;
mod listeners;
mod occasional;
mod places;
mod responder;
mod roster;
mod routes;
mod server;
mod shared_instance;
mod site;
mod stall;
mod streams;
mod waiting_room;
mod wanted_body;

pub use chaining::IN_PROCESS;
pub use listeners::{ListenError, Listeners};
pub use responder::{NotAResponder, Responder};
pub use routes::{RouteTable, Routed};
pub use server::{ServeError, Server, ServerLimits};
pub use site::{Site, SiteEntry};
