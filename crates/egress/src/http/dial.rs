//! From a destination to a connection: resolve once, judge each address, connect to one that passed.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use outport_policy::{AnswerSource, Host};
use tokio::time::timeout;
use wasmtime_wasi_http::Error;

use super::connection::Connection;
use super::connection_slot::{Permitted, authorize_when_there_is_room};
use super::destination::Destination;
use super::errors;
use super::outgoing::Outgoing;
use super::slot::ExchangeSlot;
use super::stream::Socket;
use super::target::DialTarget;
use super::user::Paced;
use crate::audit::code_of;
use crate::denied::DeniedKind;
use crate::dns::{Answer, Extent};
use crate::enforcer::Enforcer;
use crate::established::is_forbidden;
use crate::followed::{self, Followed};
use crate::lookup;

/// A new connection for `destination`, to exactly one of the addresses that were judged.
pub(super) async fn connect(
    enforcer: &Arc<Enforcer>,
    outgoing: &Outgoing,
    destination: &Destination,
    slot: &ExchangeSlot,
) -> Result<Connection, Error> {
    let answer = resolve(enforcer, destination).await?;
    let targets = DialTarget::all(destination, &answer);
    let (mut connection_slot, permitted) = authorize_when_there_is_room(enforcer, &targets, slot).await?;
    let Dialed {
        socket,
        target,
        followed,
    } = first_to_connect(enforcer, permitted, slot).await?;
    // A body may be written after its head; with Nagle's algorithm it would wait until that is acknowledged.
    socket.set_nodelay().map_err(errors::of_connect)?;
    // What has become forbidden since it was judged is closed by this.
    connection_slot.connected(socket.handle(), &target, followed.as_ref());
    let established = Connection::establish(
        Paced::new(socket.with(connection_slot)).followed(followed.clone()),
        target,
        destination,
        &outgoing.tls().connector(&destination.host),
    )
    .await;
    if let Some(followed) = followed {
        match &established {
            Ok(_) => followed.succeeded(None),
            Err(error) => followed.note_error(error),
        }
    }
    established
}

async fn resolve(enforcer: &Enforcer, destination: &Destination) -> Result<Answer, Error> {
    match &destination.host {
        Host::Name(name) => {
            // It waits where a look-up of the guest would fail: the guest asked for no look-up (DNS-12).
            let _turn = enforcer.turn_to_resolve().await;
            let answer = lookup::resolve(enforcer, name, destination.spelling).await;
            answer.map_err(errors::of_lookup)
        }
        Host::Address(address) => Ok(Answer {
            chain: Vec::new(),
            addresses: vec![*address],
            source: AnswerSource::Server,
            ttl: Duration::ZERO,
            extent: Extent::Whole,
        }),
    }
}

/// A socket that is connected, and to what.
struct Dialed {
    socket: Socket,
    target: DialTarget,
    followed: Option<Arc<Followed>>,
}

/// Connects to the addresses in order, each with a [`HEAD_START`] before the next one is tried as well (RFC 8305,
/// section 5). At most [`AT_A_TIME`] are tried at a time, and a second one only while there is room for it: an answer
/// has many addresses, and a server that answers none of them must not take what others need.
async fn first_to_connect(
    enforcer: &Arc<Enforcer>,
    permitted: Vec<Permitted>,
    slot: &ExchangeSlot,
) -> Result<Dialed, Error> {
    let mut waiting = VecDeque::from(permitted);
    let mut running = FuturesUnordered::new();
    let mut failed = errors::of_connect(io::ErrorKind::AddrNotAvailable.into());
    loop {
        if running.is_empty() {
            let Some(permitted) = waiting.pop_front() else {
                return Err(failed);
            };
            running.push(dial(enforcer, permitted, None, time_beside(&waiting)));
        } else if running.len() < AT_A_TIME
            && let Some(permitted) = waiting.front()
            && let Some(beside) = Beside::take(enforcer, permitted, slot)
            && let Some(permitted) = waiting.pop_front()
        {
            running.push(dial(enforcer, permitted, Some(beside), time_beside(&waiting)));
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

/// The time that an address may take while others wait; the last ones have all the time that the guest gives.
fn time_beside(waiting: &VecDeque<Permitted>) -> Option<Duration> {
    (!waiting.is_empty()).then_some(ATTEMPT_TIME)
}

/// A socket that is tried beside the one that has the request's slot, in the same counts.
struct Beside(Arc<Enforcer>);

impl Beside {
    /// Nothing where a quota is in the way.
    fn take(enforcer: &Arc<Enforcer>, permitted: &Permitted, slot: &ExchangeSlot) -> Option<Self> {
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
    _counted: Option<Beside>,
    time: Option<Duration>,
) -> Result<Dialed, Error> {
    let Permitted { target, mut permit } = permitted;
    // All were judged before the first one was tried, and a new deny list may have come since. If so it is told.
    if is_forbidden(enforcer, &target.attempt()) {
        let judged_again = target.authorize(enforcer, enforcer.usage());
        permit = judged_again.map_err(|_| Error::DestinationIpProhibited)?;
    }
    let followed = Followed::begin(enforcer, permit.decision(), &target.attempt());
    let connecting = Socket::connect(permit);
    let connected = match time {
        Some(time) => timeout(time, connecting)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        None => connecting.await,
    };
    match connected {
        Ok(socket) => Ok(Dialed {
            socket,
            target,
            followed,
        }),
        Err(error) => {
            let error = errors::of_connect(error);
            let code = code_of(&error);
            followed::failed(enforcer, followed.as_ref(), &target.attempt(), &code);
            Err(error)
        }
    }
}

/// The time that an address has before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// Sockets that one request has at a time while it connects.
const AT_A_TIME: usize = 2;

/// The time that an address has while others wait for their turn.
const ATTEMPT_TIME: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use futures::FutureExt;
    use http_body_util::{BodyExt, Empty};
    use outport_policy::{Scheme, Spelling};
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::egress::Egress;
    use crate::testing::{Script, World, deny, instance};

    fn destination(at: SocketAddr) -> Destination {
        Destination {
            scheme: Scheme::HTTP,
            host: Host::parse(&at.ip().to_string()).unwrap(),
            port: at.port(),
            spelling: Spelling::Relative,
        }
    }

    fn permitted(enforcer: &Arc<Enforcer>, at: SocketAddr) -> Permitted {
        let answer = resolve(enforcer, &destination(at)).now_or_never();
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
            first_to_connect(&enforcer, permits.collect(), &ExchangeSlot::count(&enforcer)).await
        };
        let dialed = to(&[closed, open]).await.ok().unwrap();
        assert_eq!(SocketAddr::from(dialed.target.remote), open);
        let peer = rustix::net::getpeername(dialed.socket.handle()).unwrap().unwrap();
        assert_eq!(SocketAddr::try_from(peer).unwrap(), open);
        let error = to(&[closed, closed]).await.err().unwrap();
        assert!(matches!(error, Error::ConnectionRefused), "{error:?}");
        assert!(to(&[]).await.is_err());
    }

    // proves: DL-9
    #[tokio::test]
    async fn what_a_new_deny_list_forbids_before_its_turn_is_not_connected_to() {
        let world = World::new(Script::new());
        let egress = world.egress();
        let enforcer = instance(&egress, &["*://*:*"]);
        let ((one, first), (other, second)) = (listener(), listener());
        let permits = vec![permitted(&enforcer, first), permitted(&enforcer, second)];
        world.events.take();
        forbid(&egress, first);
        let dialed = first_to_connect(&enforcer, permits, &ExchangeSlot::count(&enforcer))
            .await
            .ok()
            .unwrap();
        assert_eq!(SocketAddr::from(dialed.target.remote), second);
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
        let slot = ExchangeSlot::count(&enforcer);
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
        assert!(begun.elapsed() <= ATTEMPT_TIME * 4, "{:?}", begun.elapsed());
        assert_eq!(egress.metrics().connections, 0);
    }

    // proves: DL-9
    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "clients of a server, and no guest")]
    async fn what_a_new_deny_list_forbids_while_it_is_connected_to_is_closed() {
        let world = World::new(Script::new());
        let egress = world.egress();
        let enforcer = instance(&egress, &["*://*:*"]);
        let (listener, at) = listener();
        // One waits to be accepted, and there is room for no other.
        rustix::net::listen(&listener, 0).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&at, Duration::from_millis(50)) {
            waiting.push(stream);
        }
        let (slot, destination) = (ExchangeSlot::count(&enforcer), destination(at));
        let outgoing = Outgoing::new(&enforcer.process().usage);
        let connecting = connect(&enforcer, &outgoing, &destination, &slot);
        tokio::pin!(connecting);
        assert!(
            tokio::time::timeout(Duration::from_millis(50), &mut connecting)
                .await
                .is_err()
        );
        forbid(&egress, at);
        listener.set_nonblocking(true).unwrap();
        while listener.accept().is_ok() {}

        // The system asks again after a second, and gets its connection.
        let connected = tokio::time::timeout(Duration::from_secs(10), connecting)
            .await
            .unwrap();
        let (peer, _) = std::iter::from_fn(|| listener.accept().ok()).last().unwrap();
        peer.set_nonblocking(true).unwrap();
        let mut peer = tokio::net::TcpStream::from_std(peer).unwrap();
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let mut request = http::Request::new(body);
        *request.uri_mut() = "/".parse().unwrap();
        if let Ok(mut connection) = connected {
            assert!(connection.send(&destination, request, None).await.is_err());
        }
        let mut sent = Vec::new();
        peer.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent, b"", "the server reads the end, and nothing before it");
        assert_eq!(enforcer.usage_counter().usage().connections_of_process, 0);
    }
}
