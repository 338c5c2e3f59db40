//! Work that blocks: it leaves the worker's thread, at the account of the instance that it is for (HI-7, ISO-2).
//!
//! A database blocks on the disk and on locks, and a worker serves many instances, so what may take long is done on the
//! runtime's threads for blocking work. There are few at a time, for a process and for each store, so that whoever keeps
//! one busy leaves others for its neighbours; the rest wait without a thread.

use std::sync::{Arc, LazyLock};

use outport_egress::HostAccount;
use tokio::sync::Semaphore;

/// Who pays for work; nobody, if the embedder charges nobody.
pub(crate) type Account = Option<Arc<dyn HostAccount>>;

/// The threads that one store may keep busy.
#[derive(Debug)]
pub(crate) struct Workers(Arc<Semaphore>);

/// The work was not done: the runtime is shutting down, or it panicked.
#[derive(Debug)]
pub(crate) struct NotDone;

impl Default for Workers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(OF_A_STORE)))
    }
}

impl Workers {
    /// Does `work` on another thread, at `account`.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        account: Account,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, NotDone> {
        let own = Arc::clone(&self.0).acquire_owned().await.map_err(|_| NotDone)?;
        let all = Arc::clone(&OF_ALL).acquire_owned().await.map_err(|_| NotDone)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = charge(&account, work);
            drop((own, all));
            done
        });
        done.await.map_err(|_| NotDone)
    }
}

/// Does `work` at `account`.
pub(crate) fn charge<R>(account: &Account, work: impl FnOnce() -> R) -> R {
    let Some(account) = account else {
        return work();
    };
    let (mut work, mut done) = (Some(work), None);
    account.charge(&mut || done = work.take().map(|work| work()));
    done.expect("an account does the work that it is given")
}

/// Threads that all stores keep busy at most.
static OF_ALL: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(64)));

/// Threads that one store keeps busy at most.
const OF_A_STORE: usize = 8;
