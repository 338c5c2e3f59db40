//! The platform as a store has it: what an embedder puts into the data of a [`Store`](wasmtime::Store).

#[cfg(any(feature = "key-value", feature = "postgres", feature = "sqlite"))]
use std::sync::Arc;
#[cfg(any(
    feature = "key-value",
    feature = "mqtt",
    feature = "postgres",
    feature = "sqlite"
))]
use std::sync::OnceLock;
#[cfg(any(feature = "key-value", feature = "sqlite"))]
use std::sync::atomic::{AtomicU32, Ordering};

use outport_egress::GateCtx;
#[cfg(any(feature = "key-value", feature = "sqlite"))]
use tokio::sync::Semaphore;
use wasmtime::component::{HasData, ResourceTable};

use crate::platform::Platform;

/// What one instance has of the platform. Cheap to make: what an instance does not use is not there.
pub struct PlatformCtx {
    platform: Platform,
    #[cfg(feature = "key-value")]
    open_stores: OnceLock<Arc<AtomicU32>>,
    #[cfg(feature = "key-value")]
    large_reads: OnceLock<Arc<Semaphore>>,
    #[cfg(feature = "sqlite")]
    open_databases: OnceLock<Arc<AtomicU32>>,
    #[cfg(feature = "sqlite")]
    statements: OnceLock<Arc<Semaphore>>,
    #[cfg(feature = "mqtt")]
    mqtt_sessions: OnceLock<crate::mqtt::OwnSessions>,
    #[cfg(feature = "postgres")]
    postgres_builders: OnceLock<Arc<()>>,
}

/// A place among what an instance has open, which dropping it gives back.
#[cfg(any(feature = "key-value", feature = "sqlite"))]
pub(crate) struct Place(Arc<AtomicU32>);

impl PlatformCtx {
    /// The side of a new instance.
    pub fn new(platform: Platform) -> Self {
        Self {
            platform,
            #[cfg(feature = "key-value")]
            open_stores: OnceLock::new(),
            #[cfg(feature = "key-value")]
            large_reads: OnceLock::new(),
            #[cfg(feature = "sqlite")]
            open_databases: OnceLock::new(),
            #[cfg(feature = "sqlite")]
            statements: OnceLock::new(),
            #[cfg(feature = "mqtt")]
            mqtt_sessions: OnceLock::new(),
            #[cfg(feature = "postgres")]
            postgres_builders: OnceLock::new(),
        }
    }

    /// What the labels stand for.
    pub(crate) fn platform(&self) -> &Platform {
        &self.platform
    }

    /// How many key-value stores the instance has open.
    #[cfg(feature = "key-value")]
    pub(crate) fn open_stores(&self) -> &Arc<AtomicU32> {
        self.open_stores.get_or_init(Arc::default)
    }

    /// Turns to read what is large, or all keys at once: what is read is in the process's memory until the guest has it.
    #[cfg(feature = "key-value")]
    pub(crate) fn large_reads(&self) -> &Arc<Semaphore> {
        self.large_reads
            .get_or_init(|| Arc::new(Semaphore::new(LARGE_READS)))
    }

    /// How many connections to databases the instance has open.
    #[cfg(feature = "sqlite")]
    pub(crate) fn open_databases(&self) -> &Arc<AtomicU32> {
        self.open_databases.get_or_init(Arc::default)
    }

    /// The statements that the instance may have at work.
    #[cfg(feature = "sqlite")]
    pub(crate) fn statements(&self) -> &Arc<Semaphore> {
        self.statements
            .get_or_init(|| Arc::new(Semaphore::new(MOST_STATEMENTS)))
    }

    /// The connections to MQTT brokers that the instance has open by a client identifier of its own.
    #[cfg(feature = "mqtt")]
    pub(crate) fn mqtt_sessions(&self) -> &crate::mqtt::OwnSessions {
        self.mqtt_sessions.get_or_init(crate::mqtt::OwnSessions::default)
    }

    /// What each connection builder of the instance holds a share of.
    #[cfg(feature = "postgres")]
    pub(crate) fn postgres_builders(&self) -> &Arc<()> {
        self.postgres_builders.get_or_init(Arc::default)
    }
}

/// Large values that are read at a time for one instance.
#[cfg(feature = "key-value")]
const LARGE_READS: usize = 1;

#[cfg(any(feature = "key-value", feature = "sqlite"))]
impl Place {
    /// One of those that `open` counts, if the instance has not too many.
    pub(crate) fn take(open: &Arc<AtomicU32>) -> Option<Self> {
        // An instance runs on one thread, and only drops may come from others: it is never one too many.
        if open.load(Ordering::Relaxed) >= MOST_OPEN {
            return None;
        }
        open.fetch_add(1, Ordering::Relaxed);
        Some(Self(Arc::clone(open)))
    }
}

#[cfg(any(feature = "key-value", feature = "sqlite"))]
impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Stores, and likewise databases, that an instance may have open at a time, as in Spin.
#[cfg(any(feature = "key-value", feature = "sqlite"))]
const MOST_OPEN: u32 = 256;

/// Statements that an instance may have at work at a time: fewer than a database has threads, so that no instance keeps its
/// neighbours from them.
#[cfg(feature = "sqlite")]
const MOST_STATEMENTS: usize = 4;

/// The platform, the gate that says what of it is granted, and the table that open stores live in.
pub struct PlatformCtxView<'a> {
    /// The instance's side of the platform.
    pub ctx: &'a mut PlatformCtx,
    /// The instance's side of the gate.
    pub gate: &'a mut GateCtx,
    /// The table of the store.
    pub table: &'a mut ResourceTable,
}

/// Data of a store that has a platform behind a gate.
pub trait PlatformView: Send {
    /// The platform, the gate and the table of the store.
    fn platform(&mut self) -> PlatformCtxView<'_>;
}

/// Says to `wasmtime` that the adapters of this crate work on a [`PlatformCtxView`].
pub(crate) struct Hosted;

impl HasData for Hosted {
    type Data<'a> = PlatformCtxView<'a>;
}
