//! From a destination to a connection: resolve once, judge each address, connect to one that passed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use outport_policy::{AnswerSource, Attempt, Endpoint, Host, Usage};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use wasmtime_wasi_http::Error;

use super::connection::{Connection, Reached};
use super::destination::Destination;
use super::errors;
use super::slot::ExchangeSlot;
use super::user::Paced;
use crate::audit::code_of;
use crate::connections::{Registration, Way};
use crate::denied::{Denied, DeniedKind};
use crate::dns::{Answer, Extent};
use crate::egress::Egress;
use crate::enforcer::{ConnectPermit, Enforcer};
use crate::followed::{self, Followed};
use crate::lookup;

/// A new connection for `destination`, to exactly one of the addresses that were judged.
pub(super) async fn connect(
    enforcer: &Arc<Enforcer>,
    destination: &Destination,
    slot: &ExchangeSlot,
) -> Result<Connection, Error> {
    let answer = resolve(enforcer, destination).await?;
    let (mut connection_slot, permitted) =
        authorize_when_there_is_room(enforcer, destination, &answer, slot).await?;
    let connected = first_to_connect(enforcer, destination, &answer, permitted).await;
    let (stream, endpoint, followed) = connected.map_err(errors::of_connect)?;
    stream.set_nodelay(true).map_err(errors::of_connect)?;
    let reached = Reached {
        endpoint,
        chain: answer.chain,
        source: answer.source,
    };
    connection_slot
        .connected(&stream, destination, &reached, followed.clone())
        .map_err(errors::of_connect)?;
    let established = Connection::establish(
        Paced::new(stream).followed(followed.clone()),
        reached,
        destination,
        &enforcer.gate().tls().connector(&destination.host),
        connection_slot,
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

/// Whether a connection that was made before may still be used: the policy may have changed since.
pub(super) fn may_reuse(
    enforcer: &Arc<Enforcer>,
    destination: &Destination,
    reached: &Reached,
    slot: &ExchangeSlot,
) -> bool {
    let Reached {
        endpoint,
        chain,
        source,
    } = reached;
    let attempt = Attempt::Dial {
        scheme: &destination.scheme,
        host: &destination.host,
        chain,
        remote: *endpoint,
        source: *source,
    };
    // The connection is among those that are counted, and it takes no further place but with its instance.
    enforcer
        .authorize_dial(&attempt, (*endpoint).into(), slot.usage_of_instance())
        .is_ok()
}

async fn resolve(enforcer: &Enforcer, destination: &Destination) -> Result<Answer, Error> {
    match &destination.host {
        Host::Name(name) => {
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

/// One connection in the counts of the process. Dropping it gives the place back and wakes who waits for one.
pub(super) struct ConnectionSlot {
    enforcer: Arc<Enforcer>,
    connection: Option<Registration>,
    place: Option<OwnedSemaphorePermit>,
    /// Told of when the connection ends.
    followed: Option<Arc<Followed>>,
}

impl ConnectionSlot {
    /// Notes that the connection is established.
    fn connected(
        &mut self,
        stream: &TcpStream,
        destination: &Destination,
        reached: &Reached,
        followed: Option<Arc<Followed>>,
    ) -> io::Result<()> {
        let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
        let Destination { scheme, host, .. } = destination.clone();
        let way = Way::Http {
            local,
            scheme,
            host,
            chain: reached.chain.clone(),
            source: reached.source,
        };
        self.connection = Some(self.enforcer.egress().open_connections().register(
            &self.enforcer,
            remote,
            way,
            followed.as_ref(),
        ));
        self.followed = followed;
        Ok(())
    }
}

impl ConnectionSlot {
    /// Gives back all but the place among those of outgoing HTTP.
    fn back(mut self) -> Option<OwnedSemaphorePermit> {
        self.place.take()
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.enforcer.usage_counter().uncount_connection();
    }
}

/// The endpoints that may be connected to. Where only a quota is in the way, a place is waited for; what is
/// waited for is no denial yet, so nobody is told of it.
async fn authorize_when_there_is_room(
    enforcer: &Arc<Enforcer>,
    destination: &Destination,
    answer: &Answer,
    slot: &ExchangeSlot,
) -> Result<(ConnectionSlot, Vec<ConnectPermit>), Error> {
    let patience = Instant::now() + QUOTA_TIME;
    let mut place = take_place(enforcer, patience).await?;
    let mut waiter = None;
    loop {
        // Waits from before the look on, so that a place which is freed right after it is not missed.
        let freed = enforcer.egress().freed().notified();
        let is_last = Instant::now() >= patience;
        if is_last || has_room(enforcer, destination, answer, slot.usage()) {
            let before = slot.without(enforcer.usage_counter().count_connection());
            let connection_slot = ConnectionSlot {
                enforcer: enforcer.clone(),
                connection: None,
                place: place.take(),
                followed: None,
            };
            match authorize(enforcer, destination, answer, before) {
                Ok(permitted) => return Ok((connection_slot, permitted)),
                Err(DeniedKind::Policy) => return Err(Error::DestinationIpProhibited),
                Err(DeniedKind::Quota) if is_last => return Err(Error::ConnectionLimitReached),
                // Somebody else was faster.
                Err(DeniedKind::Quota) => place = connection_slot.back(),
            }
        }
        waiter.get_or_insert_with(|| Waiter::new(enforcer.egress()));
        enforcer.egress().close_idle();
        // Whether the time is up is looked at above.
        let _ = tokio::time::timeout_at(patience, freed).await;
    }
}

/// Whether no quota is in the way. A place is counted only then: those who wait would otherwise see, and wake, each
/// other.
fn has_room(enforcer: &Enforcer, destination: &Destination, answer: &Answer, usage: Usage) -> bool {
    let kinds =
        attempts(destination, answer).filter_map(|(_, attempt)| enforcer.recheck(&attempt, usage).err());
    kinds.map(Denied::kind).all(|kind| kind != DeniedKind::Quota)
}

/// A request that waits for a place, in the count of those.
struct Waiter(Arc<AtomicU32>);

impl Waiter {
    fn new(egress: &Egress) -> Waiter {
        let waiting = Arc::clone(egress.waiting());
        waiting.fetch_add(1, Ordering::SeqCst);
        Waiter(waiting)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A place among the connections of outgoing HTTP that the operator permits, where there is such a bound.
async fn take_place(enforcer: &Enforcer, patience: Instant) -> Result<Option<OwnedSemaphorePermit>, Error> {
    let Some(places) = enforcer.egress().http_connections() else {
        return Ok(None);
    };
    if let Ok(place) = Arc::clone(places).try_acquire_owned() {
        return Ok(Some(place));
    }
    let _waiter = Waiter::new(enforcer.egress());
    enforcer.egress().close_idle();
    match tokio::time::timeout_at(patience, Arc::clone(places).acquire_owned()).await {
        Ok(Ok(place)) => Ok(Some(place)),
        Ok(Err(_)) | Err(_) => Err(Error::ConnectionLimitReached),
    }
}

fn authorize(
    enforcer: &Enforcer,
    destination: &Destination,
    answer: &Answer,
    before: Usage,
) -> Result<Vec<ConnectPermit>, DeniedKind> {
    let mut permitted = Vec::new();
    let mut refused = DeniedKind::Policy;
    for (endpoint, attempt) in attempts(destination, answer) {
        match enforcer.authorize_dial(&attempt, endpoint.into(), before) {
            Ok(permit) => permitted.push(permit),
            Err(denied) if denied.kind() == DeniedKind::Quota => refused = DeniedKind::Quota,
            Err(_) => {}
        }
    }
    if permitted.is_empty() {
        Err(refused)
    } else {
        Ok(permitted)
    }
}

/// To connect to each address of the answer.
fn attempts<'a>(
    destination: &'a Destination,
    answer: &'a Answer,
) -> impl Iterator<Item = (Endpoint, Attempt<'a>)> {
    let port = &destination.port;
    answer.addresses.iter().map(move |address| {
        let remote = Endpoint::new(*address, *port);
        (remote, attempt(destination, answer, remote))
    })
}

fn attempt<'a>(destination: &'a Destination, answer: &'a Answer, remote: Endpoint) -> Attempt<'a> {
    Attempt::Dial {
        scheme: &destination.scheme,
        host: &destination.host,
        chain: &answer.chain,
        remote,
        source: answer.source,
    }
}

/// Connects to the endpoints in order, each with a [`HEAD_START`] before the next one is tried as well (RFC 8305,
/// section 5).
async fn first_to_connect(
    enforcer: &Arc<Enforcer>,
    destination: &Destination,
    answer: &Answer,
    permitted: Vec<ConnectPermit>,
) -> io::Result<(TcpStream, Endpoint, Option<Arc<Followed>>)> {
    let dial = |permit: ConnectPermit| async move {
        let endpoint = Endpoint::from(permit.remote());
        let attempt = attempt(destination, answer, endpoint);
        let followed = Followed::begin(enforcer, permit.decision(), &attempt);
        #[expect(clippy::disallowed_methods, reason = "there is a permit for this address")]
        match TcpStream::connect(permit.remote()).await {
            Ok(stream) => Ok((stream, endpoint, followed)),
            Err(error) => {
                let code = code_of(&errors::of_connect(error.kind().into()));
                followed::failed(enforcer, followed.as_ref(), &attempt, &code);
                Err(error)
            }
        }
    };
    let mut waiting = permitted.into_iter();
    let mut running = FuturesUnordered::new();
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match waiting.next() {
            Some(permit) => running.push(dial(permit)),
            None if running.is_empty() => return Err(failed),
            None => {}
        }
        tokio::select! {
            Some(connected) = running.next() => match connected {
                Ok(connected) => return Ok(connected),
                Err(error) => failed = error,
            },
            () = tokio::time::sleep(HEAD_START), if waiting.len() > 0 => {}
        }
    }
}

/// How long a request waits for a connection when the quota is used up.
const QUOTA_TIME: Duration = Duration::from_secs(5);

/// How long an address has before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use outport_policy::{Scheme, Transport};
    use tokio::net::TcpListener;

    use super::*;
    use crate::sockets::SocketSlot;
    use crate::testing::{Script, World};

    /// A world with room for `most` connections, and a gate in it.
    fn crowded(most: u32) -> (World, Arc<Enforcer>, Destination, Answer) {
        let mut world = World::new(Script::new());
        world.operator.quotas.total_connections = Some(most);
        let enforcer = world.instance(&["http://10.0.0.1:8080"]);
        let host = Host::parse("10.0.0.1").unwrap();
        let answer = Answer {
            chain: Vec::new(),
            addresses: crate::testing::addresses(&["10.0.0.1"]),
            source: AnswerSource::Server,
            ttl: Duration::ZERO,
            extent: Extent::Whole,
        };
        let destination = Destination {
            scheme: Scheme::HTTP,
            host,
            port: 8080,
            spelling: outport_policy::Spelling::Relative,
        };
        (world, enforcer, destination, answer)
    }

    // proves: Q-1
    #[tokio::test(start_paused = true)]
    async fn a_request_waits_five_seconds_for_a_place_and_is_denied_once() {
        let (world, enforcer, destination, answer) = crowded(1);
        let slot = ExchangeSlot::count(&enforcer);
        let wait = || authorize_when_there_is_room(&enforcer, &destination, &answer, &slot);
        let (held, _) = wait().await.ok().unwrap();
        let start = Instant::now();
        assert!(matches!(wait().await, Err(Error::ConnectionLimitReached)));
        assert_eq!(start.elapsed(), QUOTA_TIME);
        let told = [
            "http.dial 10.0.0.1:8080",
            "http.dial 10.0.0.1:8080 [quota.connections]",
        ];
        assert_eq!(world.events.take(), told);

        // While somebody waits, nothing is told; when there is a place, it is taken at once.
        let start = Instant::now();
        let free = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(held);
        };
        let (second, ()) = tokio::join!(wait(), free);
        assert!(second.is_ok());
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        assert_eq!(world.events.take(), told[..1]);
    }

    // proves: Q-1
    #[tokio::test]
    async fn a_place_that_is_freed_while_a_request_looks_is_not_missed() {
        let (_world, enforcer, destination, answer) = crowded(1);
        // So many components that closing their idle connections, between the look and the wait, takes a while.
        let slot = ExchangeSlot::count(&enforcer);
        let egress = enforcer.egress();
        let _others: Vec<_> = (0..10_000)
            .map(|_| egress.gate("other", Arc::default()))
            .collect();
        let (give, given) = std::sync::mpsc::channel::<(Duration, ConnectionSlot)>();
        let freeing = std::thread::spawn(move || {
            for (later, held) in given {
                std::thread::sleep(later);
                drop(held);
            }
        });
        for round in 0..200 {
            let place = || authorize_when_there_is_room(&enforcer, &destination, &answer, &slot);
            let (held, _) = place().await.ok().unwrap();
            give.send((Duration::from_micros(round * 10), held)).unwrap();
            let start = Instant::now();
            assert!(place().await.is_ok());
            assert!(
                start.elapsed() < Duration::from_secs(3),
                "round {round}: {:?}",
                start.elapsed()
            );
        }
        drop(give);
        freeing.join().unwrap();
    }

    // proves: Q-4
    #[tokio::test(start_paused = true)]
    async fn exchanges_and_their_connections_count_like_sockets() {
        // (of an instance, of the process, how many there may be)
        for (of_instance, of_process, most) in [(3, 100, 3), (100, 3, 3), (2, 3, 2)] {
            let (mut world, _, destination, answer) = crowded(1000);
            world.operator.quotas.total_connections = None;
            world.operator.quotas.sockets_per_instance = of_instance;
            world.operator.quotas.sockets_per_process = of_process;
            let enforcer = world.instance(&["*://10.0.0.1:8080"]);
            let _socket = SocketSlot::take(&enforcer, Transport::Tcp).ok().unwrap();
            let mut held = Vec::new();
            let refused = loop {
                let slot = ExchangeSlot::count(&enforcer);
                match authorize_when_there_is_room(&enforcer, &destination, &answer, &slot).await {
                    Ok((connection_slot, _)) => held.push((slot, connection_slot)),
                    Err(error) => break error,
                }
            };
            assert!(matches!(refused, Error::ConnectionLimitReached));
            assert_eq!(
                held.len() + 1,
                most,
                "with one socket: {of_instance}, {of_process}"
            );
            let socket = SocketSlot::take(&enforcer, Transport::Tcp).err().unwrap();
            assert_eq!(socket.kind(), DeniedKind::Quota);
            held.pop();
            assert!(SocketSlot::take(&enforcer, Transport::Tcp).is_ok());
        }
    }

    // proves: Q-4, ISO-1
    #[test]
    fn no_component_takes_the_sockets_that_are_kept_for_another() {
        let mut world = World::new(Script::new());
        world.operator.quotas.sockets_per_process = 100;
        world.operator.quotas.sockets_per_instance = 100;
        let egress = world.egress();
        let [greedy, modest] = ["greedy", "modest"].map(|name| {
            let allow = crate::testing::allow(&["*://10.0.0.1:8080"]);
            egress.gate(name, allow).open().enforcer.clone()
        });
        let take_all = |enforcer: &Arc<Enforcer>| {
            let taken = std::iter::from_fn(|| SocketSlot::take(enforcer, Transport::Tcp).ok());
            taken.collect::<Vec<_>>()
        };
        let of_greedy = take_all(&greedy);
        assert_eq!(of_greedy.len(), 75, "one half, and half of the other");
        let of_modest = take_all(&modest);
        assert_eq!(of_modest.len(), 25, "what is kept for it");
        drop(of_greedy);
        assert_eq!(take_all(&modest).len(), 50, "what is common");
    }

    #[tokio::test]
    async fn the_first_endpoint_that_answers_is_connected_to() {
        let closed = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();

        let (_world, enforcer, destination, answer) = crowded(10);
        let here = World::new(Script::new()).instance(&["tcp://127.0.0.1:*"]);
        let permitted = |endpoint: &Endpoint| {
            let remote = std::net::SocketAddr::from(*endpoint);
            here.authorize_connect(Transport::Tcp, remote).ok().unwrap()
        };
        let to = async |endpoints: &[Endpoint]| {
            let permits = endpoints.iter().map(permitted).collect();
            let connected = first_to_connect(&enforcer, &destination, &answer, permits).await;
            connected.map(|(stream, endpoint, _)| (stream, endpoint))
        };
        let (stream, endpoint) = to(&[closed.into(), open.into()]).await.unwrap();
        assert_eq!((endpoint, stream.peer_addr().unwrap()), (open.into(), open));
        let error = to(&[closed.into(), closed.into()]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(to(&[]).await.is_err());
    }
}
