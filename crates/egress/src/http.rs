//! Outgoing `wasi:http`, of WASI 0.2 and 0.3 alike.
//!
//! ```text
//! GateHooks::send_request
//!   ▼
//! exchange: one request, from here to the end of its answer
//!   │ destination   what the guest wrote becomes scheme, host and port; userinfo, odd paths: HttpRequestUriInvalid
//!   │ judge Request ───────────────────────────── refused ▶ HttpRequestDenied, DestinationIpProhibited
//!   ├─ the app itself, another component ───────▶ Internal, which never reaches the network
//!   ▼
//! pool ── an idle connection, judged again ───┐
//!   │ none                                    │
//!   ▼                                         │
//! dial: as for any other interface            │
//!   ▼                                         │
//! connection: TLS, HTTP/1.1 or HTTP/2 ────────┤
//!                                             ▼
//!                              the request as it was judged, the answer with its time limits
//! ```
//!
//! Nothing connects, takes a connection from the pool or calls the app without what judging made of it: a permit, or
//! the request as it was [authorized].
//!
//! There is no second resolution: what was judged is what is connected to. What the guest puts into `Host` or the
//! path reaches the server it was judged for, or nobody. Redirects are answers like any other; following one is a
//! new request of the guest. The proxy variables of the environment are not looked at. Bodies are passed on frame
//! by frame and never collected.
//!
//! A request that a connection from the pool failed, and that its server cannot have acted on, is sent
//! [once more](failure) on a new connection, which is judged like any.

mod authorized;
mod body;
mod connection;
mod destination;
mod dial;
mod errors;
mod exchange;
mod failure;
mod followed_body;
mod heard;
mod hooks;
mod internal;
mod own_body;
mod pool;

pub(crate) use authorized::InternalRequest;
pub(crate) use destination::THE_APP;
pub use hooks::GateHooks;
pub use internal::{Internal, InternalDestination};
pub use own_body::Ending;
pub(crate) use pool::Pool;
