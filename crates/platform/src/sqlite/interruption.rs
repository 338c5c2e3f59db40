//! Whether the statement that is at work on this thread is to end.
//!
//! SQLite asks now and then, but not in the middle of a function, and not where one expression follows another. So it is
//! asked about in three places:
//!
//! | who asks | when |
//! | --- | --- |
//! | SQLite | every thousand steps, if there is a loop |
//! | our own functions | before they begin, and `LIKE` and `GLOB` on their way |
//! | the allocator, which then has no memory | for each piece of more than a kilobyte, such as a long text that a function makes |

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::session::Answer;
use crate::work::Account;

/// Why a statement was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Nobody waits for it, or its instance may not go on.
    NobodyWaits,
    TookTooLong,
}

/// Looks, again and again while a statement is at work, whether it may go on.
pub(super) struct Watch {
    answer: Answer,
    account: Account,
    begun: Instant,
    charged: Instant,
    most: Duration,
    interrupted: Option<Reason>,
}

thread_local! {
    static AT_WORK: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

impl Watch {
    /// For a statement that begins now, may take `most` of time, and whose answer goes to `answer`.
    pub(super) fn new(answer: Answer, account: Account, most: Duration) -> Self {
        let now = Instant::now();
        Self {
            answer,
            account,
            begun: now,
            charged: now,
            most,
            interrupted: None,
        }
    }

    /// Does the work of the statement on this thread. Why it was interrupted, if it was.
    pub(super) fn over<R>(self, work: impl FnOnce() -> R) -> (R, Option<Reason>) {
        AT_WORK.set(Some(self));
        let end = End;
        let done = work();
        let interrupted = AT_WORK.with_borrow(|watch| watch.as_ref().and_then(|watch| watch.interrupted));
        drop(end);
        (done, interrupted)
    }

    fn look(&mut self) -> bool {
        if self.interrupted.is_none() {
            let now = Instant::now();
            if self.answer.is_closed() || !self.may_go_on(now) {
                self.interrupted = Some(Reason::NobodyWaits);
            } else if now.duration_since(self.begun) > self.most {
                self.interrupted = Some(Reason::TookTooLong);
            }
        }
        self.interrupted.is_some()
    }

    fn may_go_on(&mut self, now: Instant) -> bool {
        let Some(account) = &self.account else {
            return true;
        };
        if now.duration_since(self.charged) < SLICE {
            return true;
        }
        self.charged = now;
        account.may_go_on()
    }
}

/// The end of a statement's work, also where something panics.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        AT_WORK.set(None);
    }
}

/// Whether the statement at work on this thread, if there is one, is to end.
pub(crate) fn must_end() -> bool {
    let looked = AT_WORK.try_with(|watch| {
        // Who asks while it is looked is the allocator, for what looking takes.
        let mut watch = watch.try_borrow_mut().ok()?;
        Some(watch.as_mut()?.look())
    });
    looked.ok().flatten().unwrap_or(false)
}

/// Time after which an instance is charged for what its statement took so far.
const SLICE: Duration = Duration::from_millis(2);
