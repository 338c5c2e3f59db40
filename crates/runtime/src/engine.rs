//! The engine: how guests are compiled and how their instances get memory.
//!
//! One engine serves the whole process. It is immutable, and cheap to clone into every worker.
//!
//! - **Languages**: the component model with WASI 0.3's asynchronous functions; a component of WASI 0.2 or 0.3
//!   runs on the same engine.
//! - **Fairness**: compiled code looks at the engine's epoch, a counter, in loops and at function entries. A
//!   [`Ticker`] moves the counter every [`TICK`] while a guest computes; a guest that sees it move hands the
//!   thread back to its neighbours. Beside a guest that does so again and again, it moves every [`SHORT_TICK`]: most
//!   guests never see a tick, and those that compute for long are the ones to be interrupted often. A guest that is
//!   [alone](Allocation::Alone) has no neighbours, and keeps the long ticks.
//! - **Memory**: [`Allocation::Single`] maps what one instance needs and nothing else, and so does `Alone` (`run`).
//!   [`Allocation::Pool`] reserves address space (not memory) for every instance that may live at a time, so that
//!   a new instance costs no `mmap`, and its pages are reset instead of unmapped (`up`, `serve`). Where the
//!   machine refuses that much address space (a container with a limit on virtual memory), the engine falls back
//!   to `Single`, which is slower and otherwise the same.
//!
//! Code that was compiled under one allocation runs under the other, so both share one [compiled-code
//! cache](crate::cache).

mod settings;
mod stacks;
mod ticker;

use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;
use std::time::Duration;

pub use self::settings::EngineError;
pub(crate) use self::settings::compiling;
use self::settings::{pooled, single};
pub(crate) use self::stacks::StackEstimate;
use self::stacks::Stacks;
use self::ticker::Ticker;
use crate::account::Account;
use crate::cache::CompiledCode;
use crate::memory_ceiling::MemoryCeiling;

/// The version of wasmtime. All of its crates have the same.
pub const WASMTIME_VERSION: &str = wasmtime_environ::VERSION;

/// The versions of WASI that it has. Imports of older ones, from 0.2.0 on, are satisfied by the same.
pub const WASI_VERSIONS: [&str; 2] = ["0.2.12", "0.3.0"];

/// The time that a guest may compute before it lets its neighbours run.
pub const TICK: Duration = Duration::from_millis(1);

/// The same while there is a guest that was interrupted before.
pub const SHORT_TICK: Duration = Duration::from_micros(100);

/// Instances that may wait for a further request, over all components and threads.
pub const IDLE_INSTANCES: u32 = 64;

/// The way in which the memory of instances is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocation {
    /// For the one guest of a process, with nobody beside it on its thread: mapped when it starts, unmapped when it
    /// ends.
    Alone,
    /// The same for few instances, which may be neighbours.
    Single,
    /// For many short-lived instances: slots that are reused.
    Pool {
        /// The number of instances that may be at work at a time. There is room for [`IDLE_INSTANCES`] more.
        instances: u32,
    },
}

impl Allocation {
    /// Instances that may live at a time, where that is bounded.
    fn instances(self) -> u32 {
        match self {
            Self::Alone | Self::Single => 1,
            Self::Pool { instances } => instances.saturating_add(IDLE_INSTANCES),
        }
    }
}

/// Compiles and runs components. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Engine {
    wasmtime: wasmtime::Engine,
    ticker: Arc<Ticker>,
    memory: Arc<MemoryCeiling>,
    stacks: Stacks,
    /// None when nothing is to be compiled any more.
    code: Arc<RwLock<Option<Arc<CompiledCode>>>>,
}

impl Engine {
    /// An engine with this allocation, which compiles in this process and [keeps](Engine::with_code) no code.
    ///
    /// # Errors
    ///
    /// When wasmtime does not support the machine, or address space for even one instance cannot be had.
    pub fn new(allocation: Allocation) -> Result<Self, EngineError> {
        let wasmtime = match allocation {
            Allocation::Alone | Allocation::Single => single()?,
            Allocation::Pool { .. } => pooled(allocation.instances()).or_else(|refusal| {
                tracing::debug!(error = %refusal, "no address space for a pool of instances");
                single()
            })?,
        };
        let short_tick = match allocation {
            Allocation::Alone => TICK,
            Allocation::Single | Allocation::Pool { .. } => SHORT_TICK,
        };
        let ticker = Arc::new(Ticker::start(&wasmtime, short_tick));
        let memory = Arc::new(MemoryCeiling::none());
        let stacks = Stacks::of(&wasmtime, allocation.instances());
        Ok(Self {
            wasmtime,
            ticker,
            memory,
            stacks,
            code: keeping(CompiledCode::nowhere()),
        })
    }

    /// The same engine, whose guests may together have so much memory; not those of clones that were made before.
    #[must_use]
    pub fn under(self, memory: MemoryCeiling) -> Self {
        Self {
            memory: Arc::new(memory),
            ..self
        }
    }

    /// The same engine, which compiles and keeps code as `code` says; clones that were made before do as they did.
    #[must_use]
    pub fn with_code(self, code: CompiledCode) -> Self {
        Self {
            code: keeping(code),
            ..self
        }
    }

    /// There will be nothing more to compile: [other processes](CompiledCode::compiled_apart) end meanwhile. Holds for
    /// all clones.
    pub fn stop_compiling(&self) {
        if let Some(code) = self.code() {
            code.close();
        }
    }

    /// The same, and when this returns the other processes have ended, and nothing here leads to the directory of
    /// compiled code. To be asked before the first guest runs.
    pub fn end_compiling(&self) {
        let code = self.code.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(code);
    }

    /// The part that compiles and keeps code; none when that has ended.
    pub(crate) fn code(&self) -> Option<Arc<CompiledCode>> {
        self.code.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The bound on the memory of all guests together. Default: there is no limit.
    pub(crate) fn memory(&self) -> &Arc<MemoryCeiling> {
        &self.memory
    }

    /// The engine of wasmtime behind this one.
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// True if a guest that sees the epoch move has held the processor since it did. If not, the epoch moved in a pause
    /// of its own, or of its neighbours'.
    pub(crate) fn is_held(&self) -> bool {
        self.ticker.went_by()
    }

    /// A guest was interrupted that had held the processor for `held` already. Answers how much longer that is now, at
    /// most.
    pub(crate) fn interrupted(&self, held: Duration) -> Duration {
        self.ticker.interrupted(held)
    }

    /// Runs a guest at its account, so that the epoch moves while it computes, and ends it when the account is used up.
    pub(crate) async fn interrupting<T>(
        &self,
        account: &Account,
        guest: impl Future<Output = wasmtime::Result<T>>,
    ) -> wasmtime::Result<T> {
        let mut guest = pin!(guest);
        let charged = std::future::poll_fn(|cx| {
            // Around each poll, since wasmtime does not say whose a stack is.
            let before = self.stacks.in_use();
            let polled = account.poll(cx, |cx| guest.as_mut().poll(cx));
            match self.stacks.settle(before, account.stacks()) {
                Err(over) if polled.is_pending() => Poll::Ready(Err(over.into())),
                _ => polled,
            }
        });
        self.ticker.count(charged).await
    }
}

fn keeping(code: CompiledCode) -> Arc<RwLock<Option<Arc<CompiledCode>>>> {
    Arc::new(RwLock::new(Some(Arc::new(code))))
}
