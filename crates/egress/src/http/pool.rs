//! Connections that wait for the next request of a component.
//!
//! One pool a component, since policies and client certificates differ; and within it one list for each runtime,
//! scheme, host and port. The runtime is part of the key because a connection lives on the one that made it. A
//! connection is handed out only while it is ready, and only with a permit for one more use of it: it is judged again.
//! What its holder sends on it is a request that was judged by itself. An idle connection is closed after
//! [`IDLE_TIME`], or when a quota leaves no room for another, of whatever component.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime;

use super::connection::Connection;
use crate::dial::{Destination, DialTarget, UsePermit};
use crate::process::{IdleConnections, Pooling, ProcessUsage};

/// The idle connections of a component.
pub(crate) struct Pool {
    pooling: Pooling,
    waiting: Arc<AtomicU32>,
    idle: Mutex<HashMap<Key, Vec<Idle>>>,
    swept: AtomicBool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    runtime: runtime::Id,
    destination: Destination,
}

/// A connection that waits. Nothing can be sent on it: see [`Idle::reuse`].
pub(super) struct Idle {
    connection: Connection,
    since: Instant,
}

impl Idle {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            since: Instant::now(),
        }
    }

    /// The target, as it was judged when the connection was made.
    pub(super) fn target(&self) -> &Arc<DialTarget> {
        self.connection.target()
    }

    /// The connection, for the one use that `permit` is for. Nothing if that is for another connection.
    pub(super) fn reuse(self, permit: UsePermit) -> Option<Connection> {
        let Self { connection, .. } = self;
        permit.spend(connection.target()).ok().map(|()| connection)
    }
}

impl IdleConnections for Pool {
    fn close_idle(&self) {
        self.idle().clear();
    }
}

impl Pool {
    /// A pool that has no connection yet, and never will where pooling is off.
    pub(crate) fn new(usage: &ProcessUsage) -> Self {
        Self {
            pooling: usage.pooling(),
            waiting: Arc::clone(usage.waiting()),
            idle: Mutex::default(),
            swept: AtomicBool::new(false),
        }
    }

    /// A connection for `destination` that is ready, if there is one. One that takes several requests at a time
    /// stays in the pool as well.
    pub(super) fn take(&self, destination: &Destination) -> Option<Idle> {
        let mut idle = self.idle();
        let key = key(destination);
        let list = idle.get_mut(&key)?;
        while let Some(idle) = list.pop() {
            if !idle.connection.is_ready() {
                continue;
            }
            list.extend(idle.connection.share().map(Idle::new));
            return Some(idle);
        }
        idle.remove(&key);
        None
    }

    /// Puts back what was taken and not used.
    pub(super) fn put_back(self: &Arc<Self>, destination: &Destination, idle: Idle) {
        if idle.connection.share().is_none() {
            self.put(destination, idle);
        }
    }

    /// Closes a connection that may not be used again. Where others use it at the same time it ends with their
    /// requests.
    pub(super) fn discard(&self, destination: &Destination, refused: Idle) {
        let mut idle = self.idle();
        if let Some(list) = idle.get_mut(&key(destination)) {
            list.retain(|idle| !idle.connection.is_shared_with(&refused.connection));
        }
    }

    /// Puts a connection that was just made into the pool, if others may use it at the same time.
    pub(super) fn offer(self: &Arc<Self>, destination: &Destination, connection: &Connection) {
        if let Some(shared) = connection.share() {
            self.put(destination, Idle::new(shared));
        }
    }

    /// Puts a connection back as soon as its exchange is over.
    pub(super) fn give_back(self: &Arc<Self>, destination: &Destination, mut connection: Connection) {
        if connection.share().is_some() {
            return;
        }
        if connection.is_ready() {
            return self.put(destination, Idle::new(connection));
        }
        let (pool, destination) = (Arc::downgrade(self), destination.clone());
        tokio::spawn(async move {
            if connection.ready().await.is_ok()
                && let Some(pool) = pool.upgrade()
            {
                pool.put(&destination, Idle::new(connection));
            }
        });
    }

    fn put(self: &Arc<Self>, destination: &Destination, connection: Idle) {
        if self.pooling == Pooling::Off {
            return;
        }
        let mut idle = self.idle();
        let list = idle.entry(key(destination)).or_default();
        if list.len() < IDLE_CONNECTIONS {
            list.push(connection);
        }
        drop(idle);
        // Whoever waits has closed all idle connections, before or after this one was put here.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            return self.close_idle();
        }
        if !self.swept.swap(true, Ordering::AcqRel) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes what was idle too long, and says whether anything is left.
    fn close_old(&self, now: Instant) -> bool {
        let mut idle = self.idle();
        idle.retain(|_, list| {
            list.retain(|idle| now.duration_since(idle.since) < IDLE_TIME && idle.connection.is_ready());
            !list.is_empty()
        });
        !idle.is_empty()
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<Key, Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(destination: &Destination) -> Key {
    Key {
        runtime: runtime::Handle::current().id(),
        destination: destination.clone(),
    }
}

/// Runs while the pool has connections. A runtime that ends takes the sweep with it; the next connection that is
/// put into the pool of a living one starts another.
async fn sweep(pool: Weak<Pool>) {
    let _unset = Unset(pool.clone());
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        match pool.upgrade() {
            Some(pool) if pool.close_old(Instant::now()) => {}
            _ => return,
        }
    }
}

struct Unset(Weak<Pool>);

impl Drop for Unset {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.swept.store(false, Ordering::Release);
        }
    }
}

/// The time that a connection may wait for a request.
const IDLE_TIME: Duration = Duration::from_secs(90);

/// The time between two searches for old connections.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Idle connections to one place.
const IDLE_CONNECTIONS: usize = 64;
