//! The account of a guest that the host works for.
//!
//! The gate does things for an instance that the instance does not do itself: tasks resolve names, drive connections
//! and send what was written. Who runs guests may want to know what that costs, and to end a guest whose peers make it
//! expensive. Without an account nobody is told.

use std::pin::pin;
use std::sync::Arc;

/// An account that the host's work for one instance is charged to.
pub trait HostAccount: Send + Sync + 'static {
    /// Does a piece of work that belongs to the instance. It does not wait for anything.
    fn charge(&self, work: &mut dyn FnMut());

    /// Does something in the middle of a piece of work whose results are not the instance's, such as a line for a log.
    /// What it takes from the allocator is not charged; its time is.
    fn aside(&self, work: &mut dyn FnMut());

    /// Whether a piece of work that takes long may go on, to be asked in the middle of it. What it took so far is charged
    /// first.
    fn may_go_on(&self) -> bool {
        true
    }
}

/// The account of an instance of which nobody wants to know what it costs.
pub(crate) struct Uncounted;

impl HostAccount for Uncounted {
    fn charge(&self, work: &mut dyn FnMut()) {
        work();
    }

    fn aside(&self, work: &mut dyn FnMut()) {
        work();
    }
}

/// Does all of `work` at an account, if there is one.
pub(crate) async fn charged<F: Future>(account: Option<Arc<dyn HostAccount>>, work: F) -> F::Output {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| match &account {
        None => work.as_mut().poll(cx),
        Some(account) => {
            let mut polled = std::task::Poll::Pending;
            account.charge(&mut || polled = work.as_mut().poll(cx));
            polled
        }
    })
    .await
}
