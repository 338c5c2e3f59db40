//! The stream of differences that a page follows, by server-sent events (HTML, section 9.2).
//!
//! | event | data | how often |
//! | --- | --- | --- |
//! | `activity` | edges and refusals that have changed; the first one has all there are, as far as they fit | 4 times a second at most |
//! | `overview` | limits, components, grants | once a second at most |
//! | a comment | nothing | where nothing was sent for [`SILENCE`] |
//!
//! A message is made when the connection takes one, so a reader who is slow is sent fewer of them, and of each stream there is
//! one in memory: [`MOST`] edges and as many refusals. What did not fit comes with the next. The id of a message is the
//! number of the last change in it, by which a page that connects again goes on where it was.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use serde::Serialize;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::activity::{Difference, now};
use super::text::Text;
use super::{Dashboard, STREAMS};

/// The time between two differences.
const PERIOD: Duration = Duration::from_millis(250);

/// The time after which something is sent so that it is noticed when the other side is gone.
const SILENCE: Duration = Duration::from_secs(5);

/// Edges, and refusals, of one message.
pub(super) const MOST: usize = 200;

/// A stream.
pub(super) struct Stream {
    dashboard: Dashboard,
    ticks: Interval,
    /// The number of the last change that was sent; none before anything was.
    seen: Option<u64>,
    overview: u64,
    last: Instant,
    _slot: Slot,
}

/// The streams that there are.
#[derive(Clone, Default)]
pub(super) struct Slots(Arc<AtomicUsize>);

/// One of so many streams.
struct Slot(Arc<AtomicUsize>);

#[derive(Serialize)]
struct Activity<'a> {
    now: u64,
    /// What was known before is to be forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<Vec<Text>>,
    #[serde(flatten)]
    difference: &'a Difference,
}

impl Slots {
    /// Takes one; none if there are [`STREAMS`] already.
    fn take(&self) -> Option<Slot> {
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        // Given back when it is dropped, here too.
        let slot = Slot(self.0.clone());
        (before < STREAMS).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Stream {
    /// A stream of what comes after the change number `seen`, if that is one; none if there are too many streams.
    pub(super) fn open(dashboard: &Dashboard, seen: Option<u64>, slots: &Slots) -> Option<Self> {
        let slot = slots.take()?;
        // A number that is not given yet is none of this process's: all there is, then.
        let seen = seen.filter(|seen| *seen <= dashboard.activity.changes());
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(Self {
            dashboard: dashboard.clone(),
            ticks,
            seen,
            overview: 0,
            last: Instant::now(),
            _slot: slot,
        })
    }

    /// What is to be sent now; empty if that is nothing.
    fn message(&mut self) -> String {
        let mut message = String::new();
        let look = self.dashboard.overview.look(&self.dashboard.activity);
        let difference = self.dashboard.activity.since(self.seen.unwrap_or(0), MOST);
        let is_first = self.seen.is_none();
        if is_first || !difference.edges.is_empty() || !difference.refusals.is_empty() {
            let activity = Activity {
                now: now(),
                components: is_first.then(|| self.dashboard.activity.components()),
                difference: &difference,
            };
            push(&mut message, "activity", Some(difference.until), &json(&activity));
        }
        self.seen = Some(difference.until);
        if look.number != self.overview {
            push(&mut message, "overview", None, &look.json);
            self.overview = look.number;
        }
        if message.is_empty() && self.last.elapsed() >= SILENCE {
            message.push_str(":\n\n");
        }
        message
    }
}

fn json(activity: &Activity<'_>) -> String {
    serde_json::to_string(activity).unwrap_or_else(|_| "{}".to_owned())
}

/// Adds an event, whose data is one line.
fn push(message: &mut String, event: &str, id: Option<u64>, data: &str) {
    if let Some(id) = id {
        message.push_str(&format!("id: {id}\n"));
    }
    message.push_str(&format!("event: {event}\ndata: {data}\n\n"));
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            ready!(self.ticks.poll_tick(cx));
            let message = self.message();
            if !message.is_empty() {
                self.last = Instant::now();
                return Poll::Ready(Some(Ok(Frame::data(message.into()))));
            }
        }
    }
}
