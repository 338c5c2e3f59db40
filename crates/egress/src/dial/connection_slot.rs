//! The slot of a connection among those of the process, and waiting for one.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use outport_policy::Usage;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::error::DialError;
use super::target::DialTarget;
use super::use_slot::UseSlot;
use crate::byte_budget::ByteBudget;
use crate::denied::{Denied, DeniedKind};
use crate::enforcer::{ConnectPermit, Enforcer};
use crate::established::{self, Way};
use crate::followed::Followed;
use crate::process::ProcessUsage;
use crate::process::connections::Registration;

/// One connection in the counts of the process. Dropping it gives it back and wakes who waits for one.
pub(super) struct ConnectionSlot {
    enforcer: Arc<Enforcer>,
    connection: Option<Registration>,
    kind_slot: Option<OwnedSemaphorePermit>,
}

/// An address to connect to, and the permit to do it.
pub(super) struct Permitted {
    pub(super) target: DialTarget,
    pub(super) permit: ConnectPermit,
}

impl ConnectionSlot {
    /// Notes that the connection to `target` is established.
    pub(super) fn connected(
        &mut self,
        socket: &Arc<OwnedFd>,
        target: &DialTarget,
        followed: Option<&Arc<Followed>>,
    ) {
        let way = Way::Dialed(target.clone());
        self.connection = Some(established::register(&self.enforcer, socket, way, followed));
    }

    /// The bytes that the component may send and receive.
    pub(super) fn budget(&self) -> &Arc<ByteBudget> {
        self.enforcer.component().bytes()
    }

    /// Gives back all but the slot among those of its kind.
    fn back(mut self) -> Option<OwnedSemaphorePermit> {
        self.kind_slot.take()
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.enforcer.usage_counter().uncount_connection();
    }
}

/// The endpoints that may be connected to. Where only a quota is in the way, a slot is waited for; what is
/// waited for is no denial yet, so nobody is told of it.
pub(super) async fn authorize_when_there_is_room(
    enforcer: &Arc<Enforcer>,
    targets: &[DialTarget],
    slot: &UseSlot,
    kind_slots: Option<&Arc<Semaphore>>,
) -> Result<(ConnectionSlot, Vec<Permitted>), DialError> {
    let deadline = Instant::now() + QUOTA_TIME;
    let mut kind_slot = take_kind_slot(enforcer, kind_slots, deadline).await?;
    let mut waiter = None;
    loop {
        // Waits from before the look on, so that a slot which is freed right after it is not missed.
        let freed = enforcer.process().usage.freed().notified();
        let is_last = Instant::now() >= deadline;
        if is_last || has_room(enforcer, targets, slot.usage()) {
            let before = slot.without(enforcer.usage_counter().count_connection());
            let connection_slot = ConnectionSlot {
                enforcer: enforcer.clone(),
                connection: None,
                kind_slot: kind_slot.take(),
            };
            if is_last || has_room(enforcer, targets, before) {
                return match authorize(enforcer, targets, before) {
                    Ok(permitted) => Ok((connection_slot, permitted)),
                    Err(DeniedKind::Policy) => Err(DialError::AddressRefused),
                    Err(DeniedKind::Quota) => Err(DialError::Quota),
                };
            }
            // Somebody else was faster.
            kind_slot = connection_slot.back();
        }
        waiter.get_or_insert_with(|| Waiter::new(&enforcer.process().usage));
        enforcer.process().usage.close_idle();
        // Whether the time is up is looked at above.
        let _ = tokio::time::timeout_at(deadline, freed).await;
    }
}

/// True if no quota is in the way. A slot is counted only then: those who wait would otherwise see, and wake, each
/// other.
fn has_room(enforcer: &Enforcer, targets: &[DialTarget], usage: Usage) -> bool {
    let denied = |target: &DialTarget| enforcer.recheck(&target.attempt(), usage).err();
    !targets.iter().filter_map(denied).any(Denied::is_waited_for)
}

/// Somebody who waits for a slot, in the count of those.
struct Waiter(Arc<AtomicU32>);

impl Waiter {
    fn new(usage: &ProcessUsage) -> Self {
        let waiting = Arc::clone(usage.waiting());
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A slot among as many connections of this kind as the operator permits, where there is such a bound.
async fn take_kind_slot(
    enforcer: &Enforcer,
    kind_slots: Option<&Arc<Semaphore>>,
    deadline: Instant,
) -> Result<Option<OwnedSemaphorePermit>, DialError> {
    let Some(kind_slots) = kind_slots else {
        return Ok(None);
    };
    if let Ok(kind_slot) = Arc::clone(kind_slots).try_acquire_owned() {
        return Ok(Some(kind_slot));
    }
    let _waiter = Waiter::new(&enforcer.process().usage);
    enforcer.process().usage.close_idle();
    match tokio::time::timeout_at(deadline, Arc::clone(kind_slots).acquire_owned()).await {
        Ok(Ok(kind_slot)) => Ok(Some(kind_slot)),
        Ok(Err(_)) | Err(_) => Err(DialError::Quota),
    }
}

fn authorize(
    enforcer: &Enforcer,
    targets: &[DialTarget],
    before: Usage,
) -> Result<Vec<Permitted>, DeniedKind> {
    let mut permitted = Vec::new();
    let mut refused = DeniedKind::Policy;
    for target in targets {
        match target.authorize(enforcer, before) {
            Ok(permit) => permitted.push(Permitted {
                target: target.clone(),
                permit,
            }),
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

/// The time that one waits for a connection when the quota is used up.
const QUOTA_TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use outport_policy::{AnswerSource, Endpoint, Host, Scheme, Transport};

    use super::*;
    use crate::outgoing::Outgoing;
    use crate::sockets::SocketSlot;
    use crate::testing::{Script, World};

    /// A world with room for `most` connections, a gate in it, and where to go.
    fn crowded(most: u32) -> (World, Arc<Enforcer>, [DialTarget; 1]) {
        let mut world = World::new(Script::new());
        world.operator.quotas.total_connections = Some(most);
        let enforcer = world.instance(&["http://10.0.0.1:8080"]);
        let target = DialTarget {
            scheme: Scheme::HTTP,
            host: Host::parse("10.0.0.1").unwrap(),
            chain: Vec::new(),
            remote: Endpoint::new(crate::testing::addresses(&["10.0.0.1"])[0], 8080),
            source: AnswerSource::Server,
        };
        (world, enforcer, [target])
    }

    // proves: Q-1
    #[tokio::test(start_paused = true)]
    async fn a_request_waits_five_seconds_for_a_slot_and_is_denied_once() {
        let (world, enforcer, targets) = crowded(1);
        let slot = UseSlot::count(&enforcer);
        let wait = || authorize_when_there_is_room(&enforcer, &targets, &slot, None);
        let (held, _) = wait().await.ok().unwrap();
        let start = Instant::now();
        assert!(matches!(wait().await, Err(DialError::Quota)));
        assert_eq!(start.elapsed(), QUOTA_TIME);
        let told = [
            "http.dial 10.0.0.1:8080",
            "http.dial 10.0.0.1:8080 [quota.connections]",
        ];
        assert_eq!(world.events.take(), told);

        // While somebody waits, nothing is told; when there is a slot, it is taken at once.
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
    async fn a_slot_that_is_freed_while_a_request_looks_is_not_missed() {
        let (_world, enforcer, targets) = crowded(1);
        // So many components that closing their idle connections, between the look and the wait, takes a while.
        let slot = UseSlot::count(&enforcer);
        let usage = &enforcer.process().usage;
        let _others: Vec<_> = (0..10_000).map(|_| Outgoing::new(usage)).collect();
        let (give, given) = std::sync::mpsc::channel::<(Duration, ConnectionSlot)>();
        let freeing = std::thread::spawn(move || {
            for (later, held) in given {
                std::thread::sleep(later);
                drop(held);
            }
        });
        for round in 0..200 {
            let slot_of = || authorize_when_there_is_room(&enforcer, &targets, &slot, None);
            let (held, _) = slot_of().await.ok().unwrap();
            give.send((Duration::from_micros(round * 10), held)).unwrap();
            let start = Instant::now();
            assert!(slot_of().await.is_ok());
            assert!(
                start.elapsed() < QUOTA_TIME - Duration::from_millis(500),
                "round {round}: {:?}",
                start.elapsed()
            );
        }
        drop(give);
        freeing.join().unwrap();
    }

    // proves: Q-1
    #[test]
    fn who_comes_second_to_the_last_slot_waits_and_that_is_no_denial_yet() {
        let (world, enforcer, targets) = crowded(1);
        let race = std::sync::Barrier::new(2);
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build();
            let runtime = runtime.unwrap();
            for round in 0..2000 {
                race.wait();
                let slot = UseSlot::count(&enforcer);
                let slot_of = authorize_when_there_is_room(&enforcer, &targets, &slot, None);
                assert!(runtime.block_on(slot_of).is_ok(), "round {round}");
            }
        };
        std::thread::scope(|scope| [scope.spawn(run), scope.spawn(run)].map(|thread| thread.join().unwrap()));
        let denials = world.events.events();
        let denials: Vec<_> = denials.iter().filter(|event| event.reason.is_some()).collect();
        assert!(denials.is_empty(), "{}: {denials:?}", denials.len());
    }

    // proves: Q-4
    #[tokio::test(start_paused = true)]
    async fn exchanges_and_their_connections_count_like_sockets() {
        // (of an instance, of the process, how many there may be)
        for (of_instance, of_process, most) in [(3, 100, 3), (100, 3, 3), (2, 3, 2)] {
            let (mut world, _, targets) = crowded(1000);
            world.operator.quotas.total_connections = None;
            world.operator.quotas.sockets_per_instance = of_instance;
            world.operator.quotas.sockets_per_process = of_process;
            let enforcer = world.instance(&["*://10.0.0.1:8080"]);
            let _socket = SocketSlot::take(&enforcer, Transport::Tcp).ok().unwrap();
            let mut held = Vec::new();
            let refused = loop {
                let slot = UseSlot::count(&enforcer);
                match authorize_when_there_is_room(&enforcer, &targets, &slot, None).await {
                    Ok((connection_slot, _)) => held.push((slot, connection_slot)),
                    Err(error) => break error,
                }
            };
            assert!(matches!(refused, DialError::Quota));
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
}
