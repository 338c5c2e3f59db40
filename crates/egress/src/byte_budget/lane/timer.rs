//! The one timer of those that wait in a lane.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Lane;

/// The timer of a lane, for as long as anybody waits.
pub(super) async fn run(mut alarm: Alarm) {
    while let Some(lane) = alarm.0.upgrade() {
        let Some(at) = lane.lock().timer else { break };
        let at = at.min(lane.now().saturating_add(LONGEST_SLEEP));
        tokio::select! {
            () = tokio::time::sleep_until(lane.origin + at) => if !lane.ring() { break },
            () = lane.earlier.notified() => {}
        }
    }
    alarm.is_over();
}

/// Tells the lane if its timer ends before it is over.
pub(super) struct Alarm(Weak<Lane>);

impl Alarm {
    pub(super) fn new(lane: &Arc<Lane>) -> Self {
        Self(Arc::downgrade(lane))
    }

    fn is_over(&mut self) {
        self.0 = Weak::new();
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(lane) = self.0.upgrade() {
            lane.lose_timer();
        }
    }
}

/// A timer that has to ring later looks in between.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);
