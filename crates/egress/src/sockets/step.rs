//! Which call of the guest a check belongs to.
//!
//! `wasmtime-wasi` asks the same questions for different calls: UdpBind both when the guest binds and when a
//! datagram implies it, UdpSend and UdpReceive both when a socket is connected and when datagrams flow. Only the
//! adapter knows which it is, so it wraps the call in [`during`]. The step is set on the thread and only while
//! that call is polled: its checks run inside that poll, and nothing else does, whatever other sockets, instances
//! and threads are doing.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;

/// A call whose checks mean something of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The guest binds a socket.
    Bind,
    /// The guest connects a UDP socket, which sends nothing.
    UdpConnect,
    /// Anything else.
    Other,
}

thread_local! {
    static STEP: Cell<Step> = const { Cell::new(Step::Other) };
}

/// Runs `call`, whose checks belong to `step`.
pub(crate) async fn during<F: Future>(step: Step, call: F) -> F::Output {
    let mut call = pin!(call);
    poll_fn(|cx| {
        let _mark = Mark::set(step);
        call.as_mut().poll(cx)
    })
    .await
}

/// The step that the current poll belongs to.
pub(super) fn current() -> Step {
    STEP.get()
}

/// Sets the step, and restores what was before when dropped, also while panicking.
struct Mark {
    before: Step,
}

impl Mark {
    fn set(step: Step) -> Mark {
        Mark {
            before: STEP.replace(step),
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        STEP.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_step_is_seen_inside_its_call_and_not_beside_it() {
        let seen = || async {
            let first = current();
            tokio::task::yield_now().await;
            (first, current())
        };
        let inside = during(Step::Bind, async {
            (seen().await, during(Step::UdpConnect, seen()).await, current())
        });
        let (inside, beside) = tokio::join!(inside, seen());
        let both = |step| (step, step);
        assert_eq!(inside, (both(Step::Bind), both(Step::UdpConnect), Step::Bind));
        assert_eq!(beside, both(Step::Other));
        assert_eq!(current(), Step::Other);
    }
}
