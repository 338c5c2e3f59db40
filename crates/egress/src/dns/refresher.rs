//! Keeps the addresses of the denied names denied (DL-5).
//!
//! The exact names on the operator's deny list are resolved at start and again when their TTLs run out, but no
//! sooner than every [`SHORTEST`]. What they answer goes into the operator's policy as learned addresses. A refresh
//! that fails keeps the last answer, and one that fails for one family the last addresses of that family; both are
//! tried again soon. A name that is known not to exist has no addresses any more. A new deny list is resolved as soon
//! as it is in force. Of a name that was not resolved yet no address is known, and so none is denied.
//!
//! This runs on a thread of its own, which ends when the [`Refresher`] or the [`Egress`] is dropped.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use outport_policy::{Address, LearnedAddresses, Name};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::answer::{Answer, Extent, Resolve, ResolveError};
use crate::egress::{Egress, WeakEgress};

/// Resolves the denied names of a [`Egress`] for as long as it lives.
pub struct Refresher {
    rounds: Arc<Rounds>,
    egress: WeakEgress,
    _stop: oneshot::Sender<()>,
}

/// What the last round has left.
#[derive(Default)]
struct Rounds {
    /// The denied names that were tried while they were denied; none before the first round is over.
    tried: Mutex<Option<HashSet<Name>>>,
    changed: Condvar,
}

impl Refresher {
    /// Starts to resolve the denied names of `egress`.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn start(egress: &Egress) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let rounds = Arc::new(Rounds::default());
        let (weak, done) = (egress.downgrade(), rounds.clone());
        std::thread::Builder::new()
            .name("outport-refresh".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        () = refresh_forever(weak, &done) => {}
                    }
                });
            })?;
        Ok(Self {
            rounds,
            egress: egress.downgrade(),
            _stop: stop,
        })
    }

    /// Waits until every denied name was tried once, `at_most` that long. Blocks the thread.
    pub fn first_round(&self, at_most: Duration) {
        let tried = self.rounds.tried();
        let waited = self
            .rounds
            .changed
            .wait_timeout_while(tried, at_most, |tried| tried.is_none());
        drop(waited);
    }

    /// Says whether every name was tried that is on the deny list in force then, for whoever asks later: also when this is
    /// gone. A name that another list denies anew is not, until the next round is over.
    pub fn tried(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        let (rounds, egress) = (self.rounds.clone(), self.egress.clone());
        move || {
            let Some(names) = egress.upgrade().as_ref().map(denied_names) else {
                return true;
            };
            let tried = rounds.tried();
            tried
                .as_ref()
                .is_some_and(|tried| names.iter().all(|name| tried.contains(name)))
        }
    }
}

impl Rounds {
    fn tried(&self) -> MutexGuard<'_, Option<HashSet<Name>>> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn denied_names(egress: &Egress) -> Vec<Name> {
    let policy = &egress.process().policy;
    policy.configured(|operator| operator.deny.exact_names())
}

async fn refresh_forever(egress: WeakEgress, rounds: &Rounds) {
    let mut known = Known::default();
    let Some(mut replacements) = egress.upgrade().map(|egress| egress.replacements()) else {
        return;
    };
    loop {
        let Some(standing) = egress.upgrade() else { return };
        let names = denied_names(&standing);
        let due = known.due(&names, Instant::now());
        for (name, result) in resolve_all(&standing, due).await {
            known.note(name, result, Instant::now());
        }
        standing.process().learn(known.learned());
        *rounds.tried() = Some(known.names.keys().cloned().collect());
        rounds.changed.notify_all();

        // The egress is not held while nothing is done: it ends with its last user, and this thread after it.
        drop(standing);
        let pause = known.pause(Instant::now()).min(LONGEST_PAUSE);
        let _ = tokio::time::timeout(pause, replacements.next()).await;
    }
}

async fn resolve_all(egress: &Egress, names: Vec<Name>) -> Vec<(Name, Result<Answer, ResolveError>)> {
    let resolver: &dyn Resolve = &*egress.process().resolver;
    let mut results = Vec::with_capacity(names.len());
    for some in names.chunks(AT_ONCE) {
        let asked = some.iter().map(|name| async move {
            let answer = tokio::time::timeout(LOOKUP_TIME, resolve(resolver, name));
            (name.clone(), answer.await.unwrap_or(Err(ResolveError::TimedOut)))
        });
        results.extend(asked.collect::<FuturesUnordered<_>>().collect::<Vec<_>>().await);
    }
    results
}

/// The answer for a name as somebody wrote it: the first of its candidates that exists.
async fn resolve(resolver: &dyn Resolve, name: &Name) -> Result<Answer, ResolveError> {
    for candidate in resolver.expand(name) {
        match resolver.resolve(&candidate).await {
            Err(ResolveError::NoSuchName | ResolveError::NoAddress) => {}
            result => return result,
        }
    }
    Err(ResolveError::NoSuchName)
}

/// The addresses of the denied names, and when to ask again.
#[derive(Default)]
struct Known {
    names: HashMap<Name, Refreshed>,
}

struct Refreshed {
    addresses: Vec<Address>,
    due: Instant,
}

impl Known {
    /// The names to ask for now. Names that are no longer denied are forgotten.
    fn due(&mut self, names: &[Name], now: Instant) -> Vec<Name> {
        self.names.retain(|name, _| names.contains(name));
        let due = |name: &&Name| self.names.get(*name).is_none_or(|refreshed| refreshed.due <= now);
        names.iter().filter(due).cloned().collect()
    }

    fn note(&mut self, name: Name, result: Result<Answer, ResolveError>, now: Instant) {
        let last = || {
            let last = self.names.get(&name).map(|last| last.addresses.clone());
            last.unwrap_or_default()
        };
        let addresses = match &result {
            Ok(answer) if answer.extent == Extent::OneFamily => {
                let both = with_the_other_family(&answer.addresses, last());
                let kept = both.len() - answer.addresses.len();
                tracing::warn!(%name, "a denied name was resolved in part; {}", left(kept, " of the other family"));
                both
            }
            Ok(answer) => answer.addresses.clone(),
            Err(ResolveError::NoSuchName | ResolveError::NoAddress) => Vec::new(),
            Err(error) => {
                let last = last();
                tracing::warn!(%name, %error, "a denied name cannot be resolved; {}", left(last.len(), ""));
                last
            }
        };
        // Where something is missing it is asked for again soon, whatever the TTL of the rest.
        let ttl = match result {
            Ok(answer) if answer.extent == Extent::Whole => answer.ttl.clamp(SHORTEST, LONGEST),
            _ => SHORTEST,
        };
        self.names.insert(
            name,
            Refreshed {
                addresses,
                due: now + ttl,
            },
        );
    }

    fn learned(&self) -> LearnedAddresses {
        let mut learned = LearnedAddresses::default();
        for (name, refreshed) in &self.names {
            learned.insert(name, refreshed.addresses.iter().copied());
        }
        learned
    }

    /// The time until the next name is due.
    fn pause(&self, now: Instant) -> Duration {
        let next = self.names.values().map(|refreshed| refreshed.due).min();
        next.map_or(LONGEST, |due| due.saturating_duration_since(now))
    }
}

/// What is denied where no answer came: the last `addresses` of `which` kind, if there are any.
fn left(addresses: usize, which: &str) -> String {
    let seconds = SHORTEST.as_secs();
    match addresses {
        0 => format!(
            "its addresses{which} are not known and so not denied yet; it is tried again in {seconds} s"
        ),
        _ => format!("its last addresses{which} stay denied; it is tried again in {seconds} s"),
    }
}

/// `found`, and of `last` what is not of the family of these.
fn with_the_other_family(found: &[Address], mut last: Vec<Address>) -> Vec<Address> {
    let is_v6 = |address: &Address| address.ip().is_ipv6();
    last.retain(|address| !found.iter().any(|found| is_v6(found) == is_v6(address)));
    last.extend_from_slice(found);
    last
}

/// No name is asked for more often than this.
const SHORTEST: Duration = Duration::from_secs(30);

/// No name is asked for less often than this, whatever its TTL says.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest time that the thread sleeps before it looks whether the egress is still there.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Names that are resolved at the same time.
const AT_ONCE: usize = 32;

/// The time that one name may take.
const LOOKUP_TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
