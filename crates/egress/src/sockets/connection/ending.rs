//! The end of a first flight that the guest does not go on with: what it was told to be sent is sent.
//!
//! ```text
//! dropped ─ what is kept ─┬─ the system takes it ──────────────────────▶ the direction ends
//!                         ├─ has to wait: a task sends it ─┬─ done ────▶ the direction ends
//!                         │                                └─ too long ▶ reset
//!                         └─ refused, or the connection is over
//! ```

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use super::Sending;
use crate::host_account::charged;
use crate::sockets::first_flight::{FirstFlight, Next};
use crate::sockets::system;

impl Sending {
    /// Sends what was kept of a first flight that the guest does not go on with, as far as that may go on. The guest was
    /// told that it is sent: what cannot be sent at once a task sends, which then ends the direction. True if there is one.
    #[cold]
    pub(super) fn end_first(&self, mut first: Box<FirstFlight>) -> bool {
        let connection = &*self.connection;
        let next = match first.end() {
            Next::Judge(ending) if connection.judge(&mut first, ending).is_err() => Next::Refused,
            next => next,
        };
        if next == Next::Refused {
            return false;
        }
        while !first.to_send(0).is_empty() {
            match connection.try_send(first.to_send(0)) {
                Poll::Ready(Ok(sent)) => first.sent(sent),
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => return self.send_on(first),
            };
        }
        false
    }

    /// Sends the rest of `first` as it may go, where there is a runtime to do it. It is no more than a first flight, and holds
    /// the place of its connection for no longer than [`LINGER_TIME`].
    fn send_on(&self, mut first: Box<FirstFlight>) -> bool {
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        let rest = Self {
            connection: self.connection.clone(),
            first: None,
        };
        let account = self.account();
        runtime.spawn(charged(account, async move {
            let sent = async {
                while !first.to_send(0).is_empty() {
                    match poll_fn(|cx| rest.connection.poll_send(cx, first.to_send(0))).await {
                        Ok(sent) => first.sent(sent),
                        Err(_) => return,
                    };
                }
            };
            if timeout(LINGER_TIME, sent).await.is_err() {
                // What is missing must not be taken for the whole.
                system::reset(&rest.connection.watched);
            }
            drop(rest);
        }));
        true
    }
}

/// The time that the end of a first flight has to be sent, after its guest has ended the direction.
const LINGER_TIME: Duration = Duration::from_secs(30);
