//! The first of several addresses that answers.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::timeout;

use super::connection_slot::Permitted;
use super::error::DialError;
use super::socket::Socket;
use super::target::DialTarget;
use super::use_slot::UseSlot;
use crate::denied::DeniedKind;
use crate::enforcer::Enforcer;
use crate::established::is_forbidden;
use crate::followed::{self, Followed};

/// A socket that is connected, and to what.
pub(super) struct Dialed {
    pub(super) socket: Socket,
    pub(super) target: DialTarget,
    pub(super) followed: Option<Arc<Followed>>,
}

/// Connects to the addresses in order, each with a [`HEAD_START`] before the next one is tried as well (RFC 8305,
/// section 5). At most [`AT_A_TIME`] are tried at a time, and a second one only while there is room for it: an answer has
/// many addresses, and a server that answers none of them must not take what others need.
pub(super) async fn first_to_connect(
    enforcer: &Arc<Enforcer>,
    permitted: Vec<Permitted>,
    slot: &UseSlot,
) -> Result<Dialed, DialError> {
    let mut waiting = VecDeque::from(permitted);
    let mut running = FuturesUnordered::new();
    let mut failed = DialError::Connect(io::ErrorKind::AddrNotAvailable.into());
    loop {
        if running.is_empty() {
            let Some(permitted) = waiting.pop_front() else {
                return Err(failed);
            };
            running.push(dial(enforcer, permitted, slot, None, time_beside(&waiting)));
        } else if running.len() < AT_A_TIME
            && let Some(permitted) = waiting.front()
            && let Some(beside) = Beside::take(enforcer, permitted, slot)
            && let Some(permitted) = waiting.pop_front()
        {
            running.push(dial(
                enforcer,
                permitted,
                slot,
                Some(beside),
                time_beside(&waiting),
            ));
        }
        tokio::select! {
            Some(connected) = running.next() => match connected {
                Ok(connected) => return Ok(connected),
                Err(error) => failed = error,
            },
            () = tokio::time::sleep(HEAD_START), if !waiting.is_empty() && running.len() < AT_A_TIME => {}
        }
    }
}

/// The time that an address may take; the last ones have all the time that the guest gives.
fn time_beside(waiting: &VecDeque<Permitted>) -> Option<Duration> {
    (!waiting.is_empty()).then_some(TIME_BESIDE)
}

/// A socket that is tried beside the one that has the connection's slot, in the same counts.
struct Beside(Arc<Enforcer>);

impl Beside {
    /// Nothing where a quota is in the way.
    fn take(enforcer: &Arc<Enforcer>, permitted: &Permitted, slot: &UseSlot) -> Option<Self> {
        let before = slot.without(enforcer.usage_counter().count_connection());
        let beside = Self(enforcer.clone());
        match enforcer.recheck(&permitted.target.attempt(), before) {
            Err(denied) if denied.kind() == DeniedKind::Quota => None,
            // What else has become forbidden is told when it is dialled.
            _ => Some(beside),
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.usage_counter().uncount_connection();
    }
}

async fn dial(
    enforcer: &Arc<Enforcer>,
    permitted: Permitted,
    slot: &UseSlot,
    _counted: Option<Beside>,
    time: Option<Duration>,
) -> Result<Dialed, DialError> {
    let Permitted { target, mut permit } = permitted;
    // All were judged before the first one was tried, and a new deny list may have come since. If so it is told.
    if is_forbidden(enforcer, &target.attempt()) {
        // The connection is counted already, and is not in its own way.
        let judged_again = target.authorize(enforcer, slot.usage_of_instance());
        permit = judged_again.map_err(|_| DialError::AddressRefused)?;
    }
    let followed = Followed::begin_connection(enforcer, permit.decision(), &target.attempt(), slot.trace());
    followed::note_proxy(followed.as_ref(), &permit);
    let connecting = Socket::connect(enforcer.component(), target.remote, permit);
    let connected = match time {
        Some(time) => timeout(time, connecting)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        None => connecting.await,
    };
    match connected {
        Ok(socket) => {
            // What another address failed of says nothing of what comes now.
            slot.note_said(None);
            Ok(Dialed {
                socket,
                target,
                followed,
            })
        }
        Err(error) => {
            let error = DialError::Connect(error);
            slot.note_said(error.said_of_proxy());
            followed::failed(enforcer, followed.as_ref(), &target.attempt(), error.code());
            Err(error)
        }
    }
}

/// The time that an address has before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// Sockets that one connection has at a time while it connects.
const AT_A_TIME: usize = 2;

/// The time that an address has while others wait for their turn.
const TIME_BESIDE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use futures::FutureExt;
    use outport_policy::Scheme;

    use super::super::{Destination, resolve};
    use super::*;
    use crate::egress::Egress;
    use crate::testing::{Script, World, deny, instance};
    use crate::trace::Trace;

    fn destination(at: SocketAddr) -> Destination {
        Destination::new(Scheme::HTTP, &at.ip().to_string(), at.port()).unwrap()
    }

    fn permitted(enforcer: &Arc<Enforcer>, at: SocketAddr) -> Permitted {
        let answer = resolve(enforcer, &destination(at), &Trace::none()).now_or_never();
        let target = DialTarget::all(&destination(at), &answer.unwrap().unwrap()).remove(0);
        let permit = target.authorize(enforcer, enforcer.usage()).ok().unwrap();
        Permitted { target, permit }
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn forbid(egress: &Egress, at: SocketAddr) {
        let mut operator = (*egress.operator()).clone();
        operator.deny = deny(&[&format!("*://{at}")]);
        egress.replace_operator(operator);
    }

    #[tokio::test]
    async fn the_first_endpoint_that_answers_is_connected_to() {
        let (_, closed) = listener();
        let (_listener, open) = listener();
        let enforcer = World::new(Script::new()).instance(&["*://*:*"]);
        let to = async |addresses: &[SocketAddr]| {
            let permits = addresses.iter().map(|at| permitted(&enforcer, *at));
            first_to_connect(&enforcer, permits.collect(), &UseSlot::count(&enforcer)).await
        };
        let dialed = to(&[closed, open]).await.ok().unwrap();
        assert_eq!(SocketAddr::from(dialed.target.remote), open);
        let peer = rustix::net::getpeername(dialed.socket.handle()).unwrap().unwrap();
        assert_eq!(SocketAddr::try_from(peer).unwrap(), open);
        let error = to(&[closed, closed]).await.err().unwrap();
        assert_eq!(error.code(), "connection-refused");
        assert!(to(&[]).await.is_err());
    }

    // proves: DL-9
    #[tokio::test]
    async fn what_a_new_deny_list_forbids_before_its_turn_is_not_connected_to() {
        let mut world = World::new(Script::new());
        world.operator.quotas.total_connections = Some(1);
        world.operator.quotas.sockets_per_instance = 1;
        let egress = world.egress();
        let enforcer = instance(&egress, &["*://*:*"]);
        let ((one, first), (other, second)) = (listener(), listener());
        let permits = vec![permitted(&enforcer, first), permitted(&enforcer, second)];
        world.events.take();
        forbid(&egress, first);
        // Counted, as it is by whoever has made room for it.
        let slot = UseSlot::count(&enforcer);
        enforcer.usage_counter().count_connection();
        let dialed = first_to_connect(&enforcer, permits, &slot).await.ok().unwrap();
        enforcer.usage_counter().uncount_connection();
        assert_eq!(SocketAddr::from(dialed.target.remote), second);
        let also: Vec<_> = world.events.events()[0]
            .also
            .iter()
            .map(|also| also.reason)
            .collect();
        assert_eq!(also, [""; 0], "the connection is not in its own way");
        assert_eq!(world.events.take(), [format!("http.dial {first} [deny.host]")]);
        one.set_nonblocking(true).unwrap();
        assert!(one.accept().is_err(), "nobody came");
        other.accept().unwrap();
    }

    // proves: Q-1, ISO-1
    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "clients of a server, and no guest")]
    async fn a_name_with_many_addresses_that_answer_nothing_takes_two_sockets_at_a_time() {
        let world = World::new(Script::new());
        let egress = world.egress();
        let enforcer = instance(&egress, &["*://*:*"]);
        let mut full = Vec::new();
        for _ in 0..6 {
            let (listener, at) = listener();
            rustix::net::listen(&listener, 0).unwrap();
            while let Ok(stream) = TcpStream::connect_timeout(&at, Duration::from_millis(20)) {
                full.push((None, Some(stream), at));
            }
            full.push((Some(listener), None, at));
        }
        let (_open, good) = listener();
        let hanging = full.iter().filter(|(listener, ..)| listener.is_some());
        let all = hanging.map(|(.., at)| *at).chain([good]);
        let permitted = all.map(|at| permitted(&enforcer, at)).collect();
        let slot = UseSlot::count(&enforcer);
        let most = std::cell::Cell::new(0);
        let watch = async {
            loop {
                most.set(most.get().max(egress.metrics().connections));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let begun = tokio::time::Instant::now();
        let dialed = tokio::select! {
            dialed = first_to_connect(&enforcer, permitted, &slot) => dialed,
            () = watch => unreachable!("it never ends"),
        };
        assert_eq!(dialed.ok().unwrap().target.remote, good.into());
        let most = most.get() as usize;
        assert!((1..=AT_A_TIME).contains(&most), "{most}");
        assert!(begun.elapsed() <= TIME_BESIDE * 4, "{:?}", begun.elapsed());
        assert_eq!(egress.metrics().connections, 0);
    }
}
