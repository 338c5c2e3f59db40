//! What is said about collectors: once that one does not take a signal, and once that it does again. What goes to and fro
//! is said once a minute.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use outport_sources::http::Url;

use super::signal::Signal;

/// How signals fare.
#[derive(Default)]
pub(super) struct Health(Mutex<HashMap<Signal, State>>);

#[derive(Default)]
struct State {
    /// It was said that it is not taken.
    is_told: bool,
    told: Option<Instant>,
}

/// The reason why something was not delivered.
pub(super) struct Trouble {
    /// Whose it is: the server's, or one place of it alone.
    place: String,
    why: String,
}

impl Trouble {
    /// The server's: nothing gets there.
    pub(super) fn of_server(url: &Url, why: String) -> Self {
        let place = server(url);
        Self { place, why }
    }

    /// It is with one signal.
    pub(super) fn of_signal(url: &Url, why: String) -> Self {
        let place = place(url);
        Self { place, why }
    }
}

impl Health {
    pub(super) fn failed(&self, signal: Signal, trouble: Trouble) {
        if self.is_to_be_told(signal, Instant::now()) {
            let Trouble { place, why } = trouble;
            let what = signal.name();
            tracing::warn!(
                "the collector at {place} takes no {what}: {why}; what it does not take is dropped (not said again until \
                 it takes {what} again)"
            );
        }
    }

    pub(super) fn works(&self, signal: Signal, url: &Url) {
        if self.was_told(signal) {
            tracing::info!("the collector at {} takes {} again", place(url), signal.name());
        }
    }

    fn is_to_be_told(&self, signal: Signal, now: Instant) -> bool {
        let mut states = self.states();
        let state = states.entry(signal).or_default();
        let is_soon = state
            .told
            .is_some_and(|told| now.saturating_duration_since(told) < INTERVAL);
        if state.is_told || is_soon {
            return false;
        }
        *state = State {
            is_told: true,
            told: Some(now),
        };
        true
    }

    fn was_told(&self, signal: Signal) -> bool {
        let mut states = self.states();
        let state = states.get_mut(&signal);
        state.is_some_and(|state| std::mem::take(&mut state.is_told))
    }

    fn states(&self) -> MutexGuard<'_, HashMap<Signal, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server alone, without what may be a secret.
fn server(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn place(url: &Url) -> String {
    format!("{}{}", server(url), url.path())
}

/// The time between two times that the same is said.
const INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signal_is_said_once_and_what_goes_to_and_fro_once_a_minute() {
        let (health, start) = (Health::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!health.was_told(Signal::Logs), "it never failed");
        assert!(health.is_to_be_told(Signal::Logs, at(0)));
        assert!(!health.is_to_be_told(Signal::Logs, at(100)), "it is said already");
        assert!(!health.was_told(Signal::Traces), "another one is another matter");
        assert!(health.is_to_be_told(Signal::Traces, at(0)));
        assert!(health.was_told(Signal::Logs));
        assert!(!health.was_told(Signal::Logs), "once");
        assert!(health.is_to_be_told(Signal::Logs, at(101)));
        assert!(health.was_told(Signal::Logs));
        assert!(!health.is_to_be_told(Signal::Logs, at(110)), "too soon");
        assert!(!health.was_told(Signal::Logs), "nobody was told");
        assert!(health.is_to_be_told(Signal::Logs, at(161)));
    }
}
