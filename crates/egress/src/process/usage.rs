//! The sockets and connections that are open in a process, those who wait for a slot, and whose connections could make
//! one.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Notify, Semaphore};

/// The choice whether connections of outgoing HTTP are kept for further requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    On,
    Off,
}

/// Connections that wait for a request, and can be closed for somebody who needs their slot.
pub(crate) trait IdleConnections: Send + Sync {
    /// Closes them.
    fn close_idle(&self);
}

/// The counts of a process.
pub(crate) struct ProcessUsage {
    instances: AtomicU64,
    /// Sockets, and connections of outgoing HTTP.
    open: AtomicU32,
    /// Those of each component.
    components: Mutex<Vec<Weak<OpenInComponent>>>,
    freed: Notify,
    pooling: Pooling,
    idle: Mutex<Vec<Weak<dyn IdleConnections>>>,
    /// The number of requests that wait for a slot right now.
    waiting: Arc<AtomicU32>,
    /// A permit for each connection of outgoing HTTP; none where there is no bound.
    http_connections: Option<Arc<Semaphore>>,
    /// The number of these permits that there are in all.
    most_http_connections: Option<u32>,
}

impl ProcessUsage {
    pub(crate) fn new(pooling: Pooling, http_connections: Option<u32>) -> Self {
        Self {
            instances: AtomicU64::new(0),
            open: AtomicU32::new(0),
            components: Mutex::default(),
            freed: Notify::new(),
            pooling,
            idle: Mutex::default(),
            waiting: Arc::default(),
            most_http_connections: http_connections,
            http_connections: http_connections.map(|number| Arc::new(Semaphore::new(number as usize))),
        }
    }

    pub(crate) fn next_instance(&self) -> u64 {
        self.instances.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The sockets, and the connections of outgoing HTTP, of all guests.
    pub(crate) fn open(&self) -> &AtomicU32 {
        &self.open
    }

    /// Sockets, and connections of outgoing HTTP, that exist now.
    pub(crate) fn by_kind(&self) -> (u32, u32) {
        let components: Vec<_> = self.components().iter().filter_map(Weak::upgrade).collect();
        let sockets = components.iter().map(|open| open.sockets()).sum();
        (sockets, components.iter().map(|open| open.connections()).sum())
    }

    /// Notes what a component has open, for [`kept_for_others`](ProcessUsage::kept_for_others).
    pub(super) fn note_component(&self, open: &Arc<OpenInComponent>) {
        let mut components = self.components();
        components.retain(|open| open.strong_count() > 0);
        components.push(Arc::downgrade(open));
    }

    /// The number of the `most` sockets that the process may have which are kept for other components than the one that
    /// has `own`, while `open` are open in all. One half is for whoever comes first, the other half is kept in equal
    /// parts, so that no component takes what others need (ISO-1).
    pub(crate) fn kept_for_others(&self, own: &Arc<OpenInComponent>, most: u32, open: u32) -> u32 {
        // While the first half is not used up nobody can be in the way of others, and no lock is taken.
        if open < most / 2 {
            return 0;
        }
        let components = self.components();
        let alive: Vec<_> = components.iter().filter_map(Weak::upgrade).collect();
        let part = most / 2 / u32::try_from(alive.len()).unwrap_or(u32::MAX).max(1);
        let others = alive.iter().filter(|open| !Arc::ptr_eq(open, own));
        others.map(|open| part.saturating_sub(open.all())).sum()
    }

    /// Is notified whenever a socket or a connection is given back.
    pub(crate) fn freed(&self) -> &Notify {
        &self.freed
    }

    pub(crate) fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// The number of requests that wait for a slot right now. As long as any does, no connection stays idle.
    pub(crate) fn waiting(&self) -> &Arc<AtomicU32> {
        &self.waiting
    }

    /// The connections of outgoing HTTP that there are, and may be, where there is a bound.
    pub(crate) fn http_connections_used(&self) -> Option<(u32, u32)> {
        let most = self.most_http_connections?;
        let free = self.http_connections.as_ref()?.available_permits();
        Some((most.saturating_sub(u32::try_from(free).unwrap_or(u32::MAX)), most))
    }

    pub(crate) fn http_connections(&self) -> Option<&Arc<Semaphore>> {
        self.http_connections.as_ref()
    }

    /// Notes connections that may become idle, for [`close_idle`](ProcessUsage::close_idle).
    pub(crate) fn note_idle(&self, idle: Weak<dyn IdleConnections>) {
        let mut all = self.idle();
        all.retain(|idle| idle.strong_count() > 0);
        all.push(idle);
    }

    /// Closes the idle connections of every component: who waits for a slot needs it more.
    pub(crate) fn close_idle(&self) {
        // Collected first, so that no pool is locked while this list is.
        let idle: Vec<_> = self.idle().iter().filter_map(Weak::upgrade).collect();
        idle.iter().for_each(|idle| idle.close_idle());
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Weak<dyn IdleConnections>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn components(&self) -> MutexGuard<'_, Vec<Weak<OpenInComponent>>> {
        self.components.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sockets and connections that the instances of one component have open.
#[derive(Default)]
pub(crate) struct OpenInComponent {
    sockets: AtomicU32,
    connections: AtomicU32,
}

impl OpenInComponent {
    /// Sockets alone, as `max_socket_connections` counts them.
    pub(crate) fn sockets(&self) -> u32 {
        self.sockets.load(Ordering::Acquire)
    }

    /// Connections of outgoing HTTP, idle ones among them.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Acquire)
    }

    /// Both.
    pub(crate) fn all(&self) -> u32 {
        self.sockets() + self.connections()
    }

    pub(crate) fn count_socket(&self) -> u32 {
        self.sockets.fetch_add(1, Ordering::AcqRel)
    }

    pub(crate) fn uncount_socket(&self) {
        self.sockets.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn count_connection(&self) {
        self.connections.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn uncount_connection(&self) {
        self.connections.fetch_sub(1, Ordering::AcqRel);
    }
}
