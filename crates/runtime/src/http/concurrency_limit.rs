//! The number of requests that may run at a time: one slot for each request, which its instance holds until it has
//! ended or is idle.
//!
//! An instance that waits for a further request holds none, so that it keeps nobody waiting. How many there are is
//! bounded by [`IDLE_INSTANCES`]; one for which there is no room ends.
//!
//! # Pools
//!
//! So that no component takes the slots of the others, a quarter of all is shared out among the components with a
//! route, at least one each; the rest is common. An app with one such component has common slots only, and so has one
//! with fewer than two slots for each.
//!
//! | slots, components | of each component | common |
//! | --- | --- | --- |
//! | 1000, 1 | 0 | 1000 |
//! | 1000, 2 | 125 | 750 |
//! | 1000, 10 | 25 | 750 |
//! | 8, 4 | 1 | 4 |
//! | 7, 4 | 0 | 7 |
//!
//! | asks | waits for |
//! | --- | --- |
//! | a client | a slot of the component's, or a common one |
//! | a component that calls another | one of the rights to a call, which are half as many as all slots, and then a common slot |
//!
//! However components call each other, then, half of all slots are never theirs. A call holds its caller's slot as
//! well as its own, so there is a limit to how deep calls may be nested: [`DEEPEST_CALL`]. The depth is carried with
//! the instance, never with the request, which is the guest's to write.
//!
//! # Clients
//!
//! One client (an address, see [`Clients`]) has at most half of the slots of each pool, at least
//! one: what it has in the pools of some components leaves it room in those of others, and others room in all. It keeps
//! what it took when it hangs up, until the instances are done. A proxy in front is one client, too: behind it, half
//! as many requests run at a time; further ones wait, as they do when all slots are taken.
//!
//! # Events
//!
//! What is [handed to a component](super::events) takes a slot as a request does, all of it together as one client, and
//! waits outside of the room for those who wait.
//!
//! # Waiting
//!
//! In the order of coming, for [`QUEUE_TIMEOUT`], and not more than there is [room](super::waiting_room) for; beyond,
//! there is no slot at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::clients::{Client, Clients};
use super::waiting_room::WaitingRoom;
use crate::engine::IDLE_INSTANCES;

/// The slots of a router.
pub(super) struct ConcurrencyLimit {
    shared: Arc<ConcurrencyLimitInner>,
    clients: Arc<Clients>,
}

struct ConcurrencyLimitInner {
    /// The common one, then one for each component.
    pools: Vec<Pool>,
    for_calls: Semaphore,
    idle: Arc<Semaphore>,
    waiting: WaitingRoom,
}

struct Pool {
    free: Semaphore,
    size: u32,
}

/// The number of the pool that is a component's, among those with a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnPool(usize);

/// The party that asks for a slot.
#[derive(Clone, Copy)]
pub(super) enum Asker<'a> {
    /// A client, for a component.
    Client(&'a Arc<Client>, OwnPool),
    /// A component whose request so many calls led to.
    Call(u32),
}

/// The slot of one request, for as long as it is held.
pub(crate) struct RequestSlot {
    shared: Arc<ConcurrencyLimitInner>,
    pool: usize,
    client: Option<Arc<Client>>,
    depth: u32,
}

/// The right of an instance to be idle.
pub(super) struct IdleSlot {
    _slot: OwnedSemaphorePermit,
}

/// The reason why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSlot {
    /// None became free in time, or too many wait.
    Full,
    /// The calls are nested too deep.
    TooDeep,
}

/// The depth to which calls may be nested: a client's request is at depth 0, what its instance calls at depth 1.
pub(super) const DEEPEST_CALL: u32 = 16;

/// The time that a request waits for a slot among the running ones before it is answered with 503.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);

const COMMON: usize = 0;

impl OwnPool {
    /// Of a component without one: the common one instead.
    pub(super) const NONE: Self = Self(COMMON);

    /// That of the component of this number.
    pub(super) fn of(component: usize) -> Self {
        Self(component + 1)
    }
}

impl ConcurrencyLimit {
    /// So many, for so many components with a route; half as many calls at a time.
    pub(super) fn new(number: u32, components: usize) -> Self {
        let number = number.max(1);
        let share = share(number, components);
        let components = u32::try_from(components).unwrap_or(u32::MAX);
        let shares = (0..components).map(|_| share);
        let pools: Vec<_> = std::iter::once(number - share * components)
            .chain(shares)
            .map(Pool::new)
            .collect();
        let bounds = pools.iter().map(Pool::of_one_client).collect();
        Self {
            shared: Arc::new(ConcurrencyLimitInner {
                pools,
                for_calls: Semaphore::new((number as usize / 2).max(1)),
                idle: Arc::new(Semaphore::new(IDLE_INSTANCES as usize)),
                waiting: WaitingRoom::new(number),
            }),
            clients: Clients::new(bounds),
        }
    }

    /// The clients, which may have slots.
    pub(super) fn clients(&self) -> &Arc<Clients> {
        &self.clients
    }

    /// A slot for a request.
    pub(super) async fn take(&self, asker: Asker<'_>) -> Result<RequestSlot, NoSlot> {
        if asker.depth() > DEEPEST_CALL {
            return Err(NoSlot::TooDeep);
        }
        if let Some(slot) = self.try_take(asker) {
            return Ok(slot);
        }
        let client = asker.client().map(Arc::as_ref);
        let _waits = self.shared.waiting.enter(client).ok_or(NoSlot::Full)?;
        let slot = timeout(QUEUE_TIMEOUT, self.wait(asker)).await;
        slot.map_err(|_| NoSlot::Full)
    }

    /// A slot for what waits as long as it takes, and of which nothing more comes meanwhile.
    pub(super) async fn take_patiently(&self, client: &Arc<Client>, own: OwnPool) -> RequestSlot {
        let asker = Asker::Client(client, own);
        match self.try_take(asker) {
            Some(slot) => slot,
            None => self.wait(asker).await,
        }
    }

    /// Waits until all slots are free.
    pub(super) async fn quiet(&self) {
        let mut all = Vec::new();
        for pool in &self.shared.pools {
            // Kept while the others are waited for, so that nothing starts in their place.
            all.push(pool.free.acquire_many(pool.size).await);
        }
    }

    fn try_take(&self, asker: Asker<'_>) -> Option<RequestSlot> {
        match asker {
            Asker::Client(client, own) => {
                let found = self.shared.try_pool(own.0, client);
                let found = found.or_else(|| self.shared.try_pool(COMMON, client))?;
                Some(self.slot(found.held(), asker))
            }
            Asker::Call(_) => {
                // Forgotten only with a slot in hand: where there is none, dropping it gives the right back.
                let call = self.shared.for_calls.try_acquire().ok()?;
                let slot = self.shared.pools[COMMON].free.try_acquire().ok()?;
                call.forget();
                Some(self.slot(Found::of(COMMON, slot).held(), asker))
            }
        }
    }

    /// Nothing is held by who stops to wait.
    async fn wait(&self, asker: Asker<'_>) -> RequestSlot {
        match asker {
            Asker::Client(client, own) => {
                let found = tokio::select! {
                    // Its own first, since the common ones are for all.
                    biased;
                    own = self.shared.pool(own.0, client) => own,
                    common = self.shared.pool(COMMON, client) => common,
                };
                self.slot(found.held(), asker)
            }
            Asker::Call(_) => {
                let call = acquire(&self.shared.for_calls).await;
                let slot = acquire(&self.shared.pools[COMMON].free).await;
                call.forget();
                self.slot(Found::of(COMMON, slot).held(), asker)
            }
        }
    }

    fn slot(&self, pool: usize, asker: Asker<'_>) -> RequestSlot {
        RequestSlot {
            shared: Arc::clone(&self.shared),
            pool,
            client: asker.client().cloned(),
            depth: asker.depth(),
        }
    }
}

/// The number of slots of each component that are its own.
fn share(number: u32, components: usize) -> u32 {
    let components = u32::try_from(components).unwrap_or(u32::MAX);
    match components {
        0 | 1 => 0,
        _ if number / 2 < components => 0,
        _ => (number / 4 / components).max(1),
    }
}

impl Pool {
    fn new(size: u32) -> Self {
        Self {
            free: Semaphore::new(size as usize),
            size,
        }
    }

    fn of_one_client(&self) -> usize {
        match self.size {
            0 => 0,
            size => (size as usize / 2).max(1),
        }
    }
}

/// A slot of a pool that was found, and what its client gives for it.
struct Found<'a> {
    pool: usize,
    slot: SemaphorePermit<'a>,
    client: Option<SemaphorePermit<'a>>,
}

impl<'a> Found<'a> {
    fn of(pool: usize, slot: SemaphorePermit<'a>) -> Self {
        Found {
            pool,
            slot,
            client: None,
        }
    }

    /// From now on a [`RequestSlot`] gives it back.
    fn held(self) -> usize {
        self.slot.forget();
        if let Some(client) = self.client {
            client.forget();
        }
        self.pool
    }
}

impl ConcurrencyLimitInner {
    fn try_pool<'a>(&'a self, pool: usize, client: &'a Client) -> Option<Found<'a>> {
        let of_client = client.slots[pool].try_acquire().ok()?;
        let slot = self.pools[pool].free.try_acquire().ok()?;
        Some(Found {
            client: Some(of_client),
            ..Found::of(pool, slot)
        })
    }

    async fn pool<'a>(&'a self, pool: usize, client: &'a Client) -> Found<'a> {
        // The client's part first: one that has all of its own holds no slot while it waits.
        let of_client = acquire(&client.slots[pool]).await;
        let slot = acquire(&self.pools[pool].free).await;
        Found {
            client: Some(of_client),
            ..Found::of(pool, slot)
        }
    }
}

async fn acquire(semaphore: &Semaphore) -> SemaphorePermit<'_> {
    semaphore.acquire().await.expect("nobody closes it")
}

impl<'a> Asker<'a> {
    fn client(&self) -> Option<&'a Arc<Client>> {
        match self {
            Asker::Client(client, _) => Some(client),
            Asker::Call(_) => None,
        }
    }

    fn depth(&self) -> u32 {
        match self {
            Asker::Client(..) => 0,
            Asker::Call(depth) => *depth,
        }
    }
}

impl RequestSlot {
    /// The number of calls that led to the request.
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    /// Gives the slot up for one among the idle instances, or back if there is none.
    pub(super) fn into_idle(self) -> Result<IdleSlot, Self> {
        match Arc::clone(&self.shared.idle).try_acquire_owned() {
            Ok(slot) => Ok(IdleSlot { _slot: slot }),
            Err(_) => Err(self),
        }
    }
}

impl Drop for RequestSlot {
    fn drop(&mut self) {
        self.shared.pools[self.pool].free.add_permits(1);
        match &self.client {
            Some(client) => client.slots[self.pool].add_permits(1),
            None => self.shared.for_calls.add_permits(1),
        }
    }
}

#[cfg(test)]
mod tests;
