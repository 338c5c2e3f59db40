//! From a destination to a connection, for outgoing HTTP and for every other interface that the host has for guests.
//!
//! ```text
//! destination  scheme, host, port
//!   │ resolve once, by Outport's resolver, within the bound of those in flight ── no address ▶ Lookup
//!   │ a place among the connections of the process, waited for ───────────────── none ──────▶ Quota
//!   │ judge Dial for each address ─────────────────────────────────────────────── all refused ▶ Refused
//!   ▼
//! race: connect to one that passed, two at a time ────────────────────────────── none answers ▶ Connect
//!   ▼
//! socket: ours, counted and registered, read for a short while at a time
//! ```
//!
//! There is no second resolution: what was judged is what is connected to, and nothing connects without a permit. Whether
//! the guest may go to the host by its name is judged before: `http/authorized.rs` does it for a request, [`Dialer`] for
//! everything else. What is spoken over the connection is not known here.

mod connection_slot;
mod destination;
mod dialer;
mod error;
mod host_connection;
mod introduction;
mod pool;
mod race;
mod socket;
mod target;
mod use_slot;
mod user;

use std::sync::Arc;
use std::time::Duration;

use outport_policy::{AnswerSource, Host};
use tokio::sync::Semaphore;

use self::connection_slot::authorize_when_there_is_room;
pub use self::destination::Destination;
pub(crate) use self::destination::address_with;
pub use self::dialer::{AuthorizedDestination, CONNECT_TIME, Dialer};
#[cfg(feature = "http")]
pub(crate) use self::error::Obstacle;
pub use self::error::{DialError, LookupFailure};
pub use self::host_connection::{ConnectionHandle, HostConnection};
pub use self::introduction::{IntroductionFailure, NotIntroduced};
pub use self::pool::{Pool, Pooled};
use self::race::{Dialed, first_to_connect};
pub(crate) use self::socket::Stream;
pub(crate) use self::target::DialTarget;
#[cfg(feature = "http")]
pub(crate) use self::target::{NotUsed, UsePermit};
#[cfg(feature = "http")]
pub(crate) use self::use_slot::Said;
pub(crate) use self::use_slot::UseSlot;
pub(crate) use self::user::Paced;
#[cfg(feature = "http")]
pub(crate) use self::user::User;
use crate::dns::{Answer, Extent};
use crate::enforcer::Enforcer;
use crate::followed::Followed;
use crate::lookup::{self, ObservedLookup};
use crate::trace::Trace;

/// A connection that was just made, and to what.
pub(crate) struct Connected {
    pub(crate) stream: Paced<Stream>,
    pub(crate) target: DialTarget,
    pub(crate) followed: Option<Arc<Followed>>,
}

/// A new connection for `destination`, to exactly one of the addresses that were judged. It takes one of `places` for as
/// long as it lasts, where there is such a bound.
pub(crate) async fn dial(
    enforcer: &Arc<Enforcer>,
    destination: &Destination,
    slot: &UseSlot,
    places: Option<&Arc<Semaphore>>,
) -> Result<Connected, DialError> {
    let resolved = resolve(enforcer, destination, slot.trace()).await;
    let answer = resolved.inspect_err(|error| {
        if let DialError::Lookup(LookupFailure::OverBudget) = error {
            slot.note_code(error.code());
        }
    })?;
    let targets = DialTarget::all(destination, &answer);
    let (mut connection_slot, permitted) =
        authorize_when_there_is_room(enforcer, &targets, slot, places).await?;
    let Dialed {
        socket,
        target,
        followed,
    } = first_to_connect(enforcer, permitted, slot).await?;
    socket.set_nodelay().map_err(DialError::Connect)?;
    // What has become forbidden since it was judged is closed by this.
    connection_slot.connected(socket.handle(), &target, followed.as_ref());
    Ok(Connected {
        stream: Paced::new(socket.with(connection_slot)).followed(followed.clone()),
        target,
        followed,
    })
}

async fn resolve(
    enforcer: &Arc<Enforcer>,
    destination: &Destination,
    point: &Trace,
) -> Result<Answer, DialError> {
    match &destination.host {
        Host::Name(name) => {
            let _turn = enforcer.turn_to_resolve().await;
            let observed = ObservedLookup::begin(enforcer, name, point);
            let answer = lookup::resolve(enforcer, name, destination.spelling, Some(observed)).await;
            answer.map_err(DialError::from)
        }
        // Nobody was asked. What a server said gives an address no right of its own, as a line of the hosts file does; so
        // this one is judged for what it is.
        Host::Address(address) => Ok(Answer {
            chain: Vec::new(),
            addresses: vec![*address],
            source: AnswerSource::Server,
            ttl: Duration::ZERO,
            extent: Extent::Whole,
        }),
    }
}
