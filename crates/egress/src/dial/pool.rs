//! Connections of host interfaces that wait to be used again (HI-4).
//!
//! One pool an interface, and within it one list for each component, runtime, destination and address string. The
//! string is the whole one, user, password and database with it: who connects otherwise gets another connection. A
//! connection is handed out only while neither side has ended it, only to instances of the component that made it, and
//! only when it was judged again: by its name by whoever asks, and by its address here. It is used by one instance at a
//! time. One that waits is closed after [`IDLE_TIME`], or when a quota leaves no room for another, of whatever
//! component.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use outport_policy::{Host, Scheme};
use tokio::runtime;
use tokio::time::Instant;

use super::destination::Destination;
use super::dialer::AuthorizedDestination;
use super::host_connection::ConnectionHandle;
use super::target::NotUsed;
use super::use_slot::UseSlot;
use crate::process::{Component, IdleConnections, Pooling, ProcessUsage};

/// Whatever speaks over a [`HostConnection`](super::HostConnection). Dropping it ends the connection.
pub trait Pooled: Send + 'static {
    /// The connection that it speaks over.
    fn connection(&self) -> &ConnectionHandle;
}

/// Connections of one interface that wait to be used again. Cheap to clone; clones are one pool.
pub struct Pool<C>(Arc<PoolInner<C>>);

struct PoolInner<C> {
    pooling: Pooling,
    waiting: Arc<AtomicU32>,
    idle: Mutex<HashMap<Key, Vec<Idle<C>>>>,
    swept: AtomicBool,
}

/// The component that connections were made for, and their destination.
struct Key {
    component: Arc<Component>,
    runtime: runtime::Id,
    destination: (Scheme, Host, u16),
    address: Box<str>,
}

struct Idle<C> {
    connection: C,
    since: Instant,
}

impl<C: Pooled> Pool<C> {
    /// A pool that has no connection yet, and never will where pooling is off.
    pub(super) fn new(usage: &ProcessUsage) -> Self {
        let pool = Arc::new(PoolInner {
            pooling: usage.pooling(),
            waiting: Arc::clone(usage.waiting()),
            idle: Mutex::default(),
            swept: AtomicBool::new(false),
        });
        let idle: Arc<dyn IdleConnections> = pool.clone();
        usage.note_idle(Arc::downgrade(&idle));
        Self(pool)
    }

    /// A connection to `destination` for `address`, the string that led to there, if there is one that still is open and
    /// permitted.
    ///
    /// # Errors
    ///
    /// There is none. This is where to [connect](AuthorizedDestination::connect) instead.
    pub fn take<'a>(
        &self,
        address: &str,
        destination: AuthorizedDestination<'a>,
    ) -> Result<C, AuthorizedDestination<'a>> {
        let enforcer = destination.enforcer;
        let Destination {
            scheme, host, port, ..
        } = destination.destination;
        let to = (scheme.clone(), host.clone(), *port);
        let Some(key) = Key::here(enforcer.component(), to, address) else {
            return Err(destination);
        };
        let pass = destination.pass.clone();
        while let Some(connection) = self.0.pop(&key) {
            let handle = connection.connection();
            let slot = UseSlot::count(enforcer);
            match pass.with(|| handle.target().authorize_use(enforcer, &slot)) {
                Ok(permit) => {
                    if handle.begin_use(enforcer, permit, slot).is_ok() {
                        destination.came_about();
                        return Ok(connection);
                    }
                }
                // Another instance may have room for it, and this one may have when it has waited for a slot.
                Err(NotUsed::NoRoom) => {
                    self.0.put(key, connection);
                    break;
                }
                // It ends with what speaks over it.
                Err(NotUsed::Refused) => drop(connection),
            }
        }
        Err(destination)
    }

    /// Keeps a connection that was made for `address`, and that nothing is under way on. It counts as a socket of its
    /// instance no more. Outside of a tokio runtime it ends.
    pub fn put(&self, address: &str, connection: C) {
        let handle = connection.connection();
        handle.end_use();
        let target = handle.target();
        let to = (target.scheme.clone(), target.host.clone(), target.remote.port);
        if let Some(key) = Key::here(handle.component(), to, address) {
            self.0.put(key, connection);
        }
    }
}

impl<C> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Pooled> PoolInner<C> {
    /// The connection that was used last, which is the one that is most likely still open.
    fn pop(&self, key: &Key) -> Option<C> {
        let mut idle = self.idle();
        let list = idle.get_mut(key)?;
        let mut ended = Vec::new();
        let found = loop {
            match list.pop() {
                Some(idle) if idle.is_usable() => break Some(idle.connection),
                Some(idle) => ended.push(idle),
                None => break None,
            }
        };
        if list.is_empty() {
            idle.remove(key);
        }
        found
    }

    fn put(self: &Arc<Self>, key: Key, connection: C) {
        if self.pooling == Pooling::Off || !connection.connection().is_open() {
            return;
        }
        let mut idle = self.idle();
        let list = idle.entry(key).or_default();
        let beyond = if list.len() < IDLE_CONNECTIONS {
            list.push(Idle {
                connection,
                since: Instant::now(),
            });
            None
        } else {
            Some(connection)
        };
        drop(idle);
        drop(beyond);
        // Whoever waits has closed all idle connections, before or after this one was put here.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            return self.close_idle();
        }
        if !self.swept.swap(true, Ordering::AcqRel) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes what was idle too long, and says whether anything is left.
    fn close_old(&self) -> bool {
        let mut idle = self.idle();
        let mut ended = Vec::new();
        for list in idle.values_mut() {
            ended.extend(list.extract_if(.., |idle| !idle.is_usable()));
        }
        idle.retain(|_, list| !list.is_empty());
        !idle.is_empty()
    }

    /// What speaks over a connection is the interface's, and may panic when it is dropped; the list itself is whole always.
    fn idle(&self) -> MutexGuard<'_, HashMap<Key, Vec<Idle<C>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Pooled> IdleConnections for PoolInner<C> {
    fn close_idle(&self) {
        // What speaks over them ends when nobody else waits for the pool.
        let all: Vec<_> = self.idle().drain().flat_map(|(_, list)| list).collect();
        drop(all);
    }
}

impl<C: Pooled> Idle<C> {
    fn is_usable(&self) -> bool {
        self.since.elapsed() < IDLE_TIME && self.connection.connection().is_open()
    }
}

impl Key {
    /// On this runtime, since a connection lives on the one that made it.
    fn here(component: &Arc<Component>, destination: (Scheme, Host, u16), address: &str) -> Option<Self> {
        Some(Self {
            component: Arc::clone(component),
            runtime: runtime::Handle::try_current().ok()?.id(),
            destination,
            address: address.into(),
        })
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.component, &other.component)
            && self.runtime == other.runtime
            && self.destination == other.destination
            && self.address == other.address
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.component).hash(state);
        self.runtime.hash(state);
        self.destination.hash(state);
        self.address.hash(state);
    }
}

/// Runs while the pool has connections. A runtime that ends takes the sweep with it; the next connection that is put into
/// the pool of a living one starts another.
async fn sweep<C: Pooled>(pool: Weak<PoolInner<C>>) {
    let _unset = Unset(pool.clone());
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        match pool.upgrade() {
            Some(pool) if pool.close_old() => {}
            _ => return,
        }
    }
}

struct Unset<C>(Weak<PoolInner<C>>);

impl<C> Drop for Unset<C> {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.swept.store(false, Ordering::Release);
        }
    }
}

/// The time that a connection may wait to be used: shorter than servers and what stands before them wait.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// The time between two searches for old connections.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Idle connections for one address string of one component, on one runtime.
const IDLE_CONNECTIONS: usize = 64;

#[cfg(test)]
mod tests;
