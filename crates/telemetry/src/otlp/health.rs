//! What is said about collectors: once that one does not take what it gets, and once that it does again.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use outport_sources::http::Url;

use super::signal::Signal;

/// The collectors that do not take what they get.
#[derive(Default)]
pub(super) struct Health(Mutex<HashSet<String>>);

/// The reason why something was not delivered.
pub(super) struct Trouble {
    /// Whose it is: the server's, or one place of it alone.
    place: String,
    is_of_signal: bool,
    why: String,
}

impl Trouble {
    /// The server's: no signal gets there.
    pub(super) fn of_server(url: &Url, why: String) -> Self {
        Self {
            place: server(url),
            is_of_signal: false,
            why,
        }
    }

    /// It is with one signal.
    pub(super) fn of_signal(url: &Url, why: String) -> Self {
        Self {
            place: place(url),
            is_of_signal: true,
            why,
        }
    }
}

impl Health {
    pub(super) fn failed(&self, signal: Signal, trouble: Trouble) {
        let Trouble {
            place,
            is_of_signal,
            why,
        } = trouble;
        if !self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(place.clone())
        {
            return;
        }
        let what = if is_of_signal { signal.name() } else { "telemetry" };
        tracing::warn!(
            "the collector at {place} takes no {what}: {why}; what it does not take is dropped (not said again until it takes {what} again)"
        );
    }

    pub(super) fn works(&self, signal: Signal, url: &Url) {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.is_empty() {
            return;
        }
        let (server, place) = (server(url), place(url));
        if failing.remove(&place) {
            tracing::info!("the collector at {place} takes {} again", signal.name());
        }
        if failing.remove(&server) {
            tracing::info!("the collector at {server} takes telemetry again");
        }
    }
}

/// The server alone, without what may be a secret.
fn server(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn place(url: &Url) -> String {
    format!("{}{}", server(url), url.path())
}
