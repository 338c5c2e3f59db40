//! The place where every attempt of one instance is judged.
//!
//! Whatever a guest tries, its adapter asks here, and every question ends in [`Enforcer::decide`]: the policy's
//! answer, the counter, the event. The answer is immediate; nothing here awaits. Where an attempt leads out of the
//! machine the answer is a [`ConnectPermit`], which the step that leads there takes.
//!
//! The lock holds what a decision looks at (grants, peers, counts), so what a decision changes (a peer that was
//! sent to, a look-up that began) is changed under the same lock that it was judged under. The policy of the
//! instance is made anew when the operator's has been replaced, which the next decision notices. Sinks and other code of
//! the host's are called under it too, and cannot make a decision wait for itself (`process/decision_scope.rs`).

mod asked;
mod lookups;
mod permit;
mod proxied;
mod recording;
mod state;

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use outport_policy::{
    Attempt, Decision, Endpoint, Layer, Operator, Permit, Quotas, Reason, Situation, Transport, Usage,
};
use tokio::sync::{Semaphore, SemaphorePermit};

pub(crate) use self::permit::{ConnectPermit, Step};
use self::recording::{Recording, shown};
use self::state::{State, StateCell, StateGuard};
use crate::audit::{AuditEvent, Verdict, destination, escape};
use crate::denied::Denied;
use crate::dns::Resolve;
use crate::host_account::{HostAccount, Uncounted};
use crate::process::{Component, Process};
use crate::spans;
use crate::tls_usage::TlsUsage;
use crate::trace::TraceCell;
use crate::usage_counter::UsageCounter;

/// Decides about every attempt of one instance, counts it and records it.
pub(crate) struct Enforcer {
    component: Arc<Component>,
    number: u64,
    /// Calls inside the app that led here.
    depth: u32,
    instance: Arc<Shared>,
    /// Shared with the list of those who have grants, which does not keep it.
    state: Arc<StateCell>,
}

/// What all parts of an instance have together.
struct Shared {
    usage_counter: UsageCounter,
    tls_usage: TlsUsage,
    trace: TraceCell,
    account: OnceLock<Arc<dyn HostAccount>>,
    uncounted: OnceLock<Arc<dyn HostAccount>>,
    turns: Semaphore,
    /// Look-ups in flight.
    lookups: AtomicU32,
    /// The instance ends, and with it what it holds.
    ending: AtomicBool,
}

/// The number of a decision that was recorded, by which its outcomes name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DecisionId(Option<NonZeroU64>);

impl DecisionId {
    /// The number; none if it was not recorded.
    pub(crate) fn recorded(self) -> Option<u64> {
        self.0.map(NonZeroU64::get)
    }
}

impl Enforcer {
    pub(crate) fn new(component: Arc<Component>) -> Self {
        let number = component.process().usage.next_instance();
        Self::numbered(component, number)
    }

    /// The enforcer of a part of an instance that has its number already.
    pub(crate) fn numbered(component: Arc<Component>, number: u64) -> Self {
        let state = State::of(&component);
        // Turns keep the bound of when the instance began: a list that is loaded later takes nothing from it.
        let turns = Semaphore::new(state.policy.operator().quotas.lookups_in_flight as usize);
        let shared = Arc::new(Shared {
            usage_counter: UsageCounter::new(component.clone()),
            tls_usage: TlsUsage::default(),
            trace: TraceCell::default(),
            account: OnceLock::new(),
            uncounted: OnceLock::new(),
            turns,
            lookups: AtomicU32::new(0),
            ending: AtomicBool::new(false),
        });
        Self {
            component,
            number,
            depth: 0,
            state: Arc::new(StateCell::new(state, &shared)),
            instance: shared,
        }
    }

    /// The enforcer of a part of the instance, which `component` is: with grants and peers of its own, and what is
    /// counted and charged in common.
    pub(crate) fn part(&self, component: Arc<Component>) -> Self {
        Self {
            state: Arc::new(StateCell::new(State::of(&component), &self.instance)),
            component,
            number: self.number,
            depth: self.depth,
            instance: self.instance.clone(),
        }
    }

    /// The enforcer of an instance that `depth` calls inside the app led to.
    pub(crate) fn at(self, depth: u32) -> Self {
        Self { depth, ..self }
    }

    /// The number of calls inside the app that led to the instance.
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The component of the instance.
    pub(crate) fn component(&self) -> &Arc<Component> {
        &self.component
    }

    /// The part of the process that the instance shares with all others.
    pub(crate) fn process(&self) -> &Process {
        self.component.process()
    }

    /// Charges what is done for the instance to `account`.
    pub(crate) fn charge_to(&self, account: Arc<dyn HostAccount>) {
        let _ = self.instance.account.set(account);
    }

    /// The account that is charged for what is done for the instance.
    pub(crate) fn account(&self) -> Option<Arc<dyn HostAccount>> {
        self.instance.account.get().cloned()
    }

    /// The payer for what costs something as long as the instance is there: its account, or one on which nothing is noted.
    pub(crate) fn payer(&self) -> Arc<dyn HostAccount> {
        let uncounted = || {
            self.instance
                .uncounted
                .get_or_init(|| Arc::new(Uncounted))
                .clone()
        };
        self.account().unwrap_or_else(uncounted)
    }

    /// The counter of what the instance holds.
    pub(crate) fn usage_counter(&self) -> &UsageCounter {
        &self.instance.usage_counter
    }

    /// What the instance has of TLS on connections of its own.
    pub(crate) fn tls_usage(&self) -> &TlsUsage {
        &self.instance.tls_usage
    }

    /// The point of a trace at which the instance is.
    pub(crate) fn trace(&self) -> &TraceCell {
        &self.instance.trace
    }

    /// A turn to resolve the host of a request; as many may at a time as look-ups may be in flight (DNS-12).
    pub(crate) async fn turn_to_resolve(&self) -> Option<SemaphorePermit<'_>> {
        self.instance.turns.acquire().await.ok()
    }

    pub(crate) fn resolver(&self) -> &dyn Resolve {
        &*self.process().resolver
    }

    pub(crate) fn quotas(&self) -> Quotas {
        self.process().policy.load().quotas.clone()
    }

    /// Notes that the instance ends.
    pub(crate) fn end(&self) {
        self.instance.ending.store(true, Ordering::Relaxed);
    }

    /// True if the instance ends.
    pub(crate) fn is_ending(&self) -> bool {
        self.instance.ending.load(Ordering::Relaxed)
    }

    /// The usage of the instance, its component and the process now.
    pub(crate) fn usage(&self) -> Usage {
        self.instance.usage_counter.usage()
    }

    /// Judges an attempt that leads nowhere by itself while `usage` is held. Where it is to count itself, it was
    /// counted before it is judged, and `usage` is what was held without it.
    pub(crate) fn authorize(&self, attempt: &Attempt<'_>, usage: Usage) -> Result<DecisionId, Denied> {
        let mut state = self.state()?;
        self.decide(&mut state, attempt, usage, Recording::Always, now())
            .map(|(_, decision)| decision)
    }

    /// Judges one address of an answer to the look-up that `lookup` permitted.
    pub(crate) fn authorize_answer(&self, attempt: &Attempt<'_>, lookup: DecisionId) -> Result<(), Denied> {
        let mut state = self.state()?;
        let recording = Recording::AnswerTo(lookup);
        self.decide(&mut state, attempt, self.usage(), recording, now())
            .map(drop)
    }

    /// Asks what would be said to an attempt while `usage` is held. Nobody is told and nothing is counted, and it
    /// permits nothing.
    pub(crate) fn recheck(&self, attempt: &Attempt<'_>, usage: Usage) -> Result<(), Denied> {
        let mut state = self.state()?;
        self.decide(&mut state, attempt, usage, Recording::Aside, now())
            .map(drop)
    }

    /// Judges what another attempt implies, which is judged beside it. That other one says what the layers in `exempt`
    /// have to say; this one need not.
    pub(crate) fn authorize_implied(&self, attempt: &Attempt<'_>, exempt: &[Layer]) -> Result<(), Denied> {
        // Asked aside first: a refusal by an exempt layer is no denial, and must not be recorded as one.
        match self.recheck(attempt, self.usage()) {
            Err(denied) if !exempt.contains(&denied.layer()) => {
                self.authorize(attempt, self.usage()).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Judges a ClientHello on a connection that is open. It is counted, and recorded where it is refused: what is
    /// permitted belongs to its connection.
    pub(crate) fn authorize_hello(&self, attempt: &Attempt<'_>) -> Result<(), Denied> {
        let mut state = self.state()?;
        let recording = Recording::OnDenial;
        self.decide(&mut state, attempt, self.usage(), recording, now())
            .map(drop)
    }

    /// Judges connecting a socket to `remote`.
    pub(crate) fn authorize_connect(
        &self,
        transport: Transport,
        remote: SocketAddr,
    ) -> Result<ConnectPermit, Denied> {
        let attempt = Attempt::Connect {
            transport,
            remote: Endpoint::from(remote),
        };
        self.authorize_out(&attempt, remote, self.usage())
    }

    /// Judges connecting to `remote` for a request, which `attempt` says all about; `usage` is what was held before its
    /// connection was counted.
    pub(crate) fn authorize_dial(
        &self,
        attempt: &Attempt<'_>,
        remote: SocketAddr,
        usage: Usage,
    ) -> Result<ConnectPermit, Denied> {
        self.authorize_out(attempt, remote, usage)
    }

    fn authorize_out(
        &self,
        attempt: &Attempt<'_>,
        remote: SocketAddr,
        usage: Usage,
    ) -> Result<ConnectPermit, Denied> {
        let endpoint = Endpoint::from(remote);
        let at_proxy = self.may_be_proxy(remote);
        let mut state = self.state()?;
        self.follow_operator(&mut state);
        if at_proxy {
            self.take_for_proxy(&mut state, endpoint);
        }
        self.follow_pass(&mut state);
        let (permit, decision) = self.judge(&state, attempt, usage, Recording::Always, now())?;
        let proxy = self.proxy_for(attempt, permit.rule(), endpoint);
        let permit = self.bind(attempt, permit, remote, decision)?;
        Ok(permit.through(proxy))
    }

    /// Judges a datagram to `remote`, and has `send` send it if it may go. Once it has gone, answers may come (HL-4). The
    /// first one to a peer is recorded, the others are counted. It has so many bytes. What `send` says is inside; outside,
    /// the refusal.
    pub(crate) fn send<E>(
        &self,
        remote: SocketAddr,
        length: usize,
        send: impl FnOnce(ConnectPermit) -> Result<(), E>,
    ) -> Result<Result<(), E>, Denied> {
        let now = now();
        let peer = Endpoint::from(remote);
        let attempt = Attempt::Send { remote: peer };
        let mut state = self.state()?;
        let recording = if state.peers.knows(peer, now) {
            Recording::OnDenial
        } else {
            Recording::Always
        };
        let point = match recording {
            Recording::Always => self.trace().recorded(),
            _ => None,
        };
        let usage = Usage {
            about_to_send: length as u64,
            ..self.usage()
        };
        let (permit, decision) = self.decide(&mut state, &attempt, usage, recording, now)?;
        let rule = point.as_ref().map(|_| shown(permit.rule()));
        let permit = self.bind(&attempt, permit, remote, decision)?;
        let span = point.zip(rule).map(|(point, rule)| {
            let component = self.component.name();
            self.aside(|| point.child(|parent| spans::datagram(parent, component, peer, &rule)))
        });
        // Under the lock of the decision, for which whoever judges an answer waits: none is judged before it is noted
        // that something was sent, and a peer to whom nothing was sent may not answer (HL-4).
        let sent = send(permit);
        if sent.is_ok() {
            state.peers.sent(peer, now);
        }
        if span.is_some() {
            self.aside(|| drop(span));
        }
        Ok(sent)
    }

    /// The permit for `remote`, if that is what `permit` is for.
    fn bind(
        &self,
        attempt: &Attempt<'_>,
        permit: Permit<'_>,
        remote: SocketAddr,
        decision: DecisionId,
    ) -> Result<ConnectPermit, Denied> {
        ConnectPermit::new(attempt, permit, remote, decision)
            .inspect_err(|denied| self.refuse(attempt.operation(), &remote.to_string(), denied.reason()))
    }

    /// Judges a datagram that came from `peer`, before the guest sees it. Since anybody can send one, refusals are
    /// recorded at most once a second, and all are counted.
    pub(crate) fn authorize_receive(&self, peer: SocketAddr) -> Result<(), Denied> {
        let now = now();
        let mut state = self.state()?;
        let recorded = state
            .unsolicited_recorded
            .is_some_and(|recorded| now.duration_since(recorded) < UNSOLICITED_INTERVAL);
        let recording = if recorded {
            Recording::Never
        } else {
            Recording::OnDenial
        };
        let peer = Endpoint::from(peer);
        let verdict = self
            .decide(
                &mut state,
                &Attempt::Receive { peer },
                self.usage(),
                recording,
                now,
            )
            .map(drop);
        if verdict.is_err() && !recorded {
            state.unsolicited_recorded = Some(now);
        }
        verdict
    }

    fn state(&self) -> Result<StateGuard<'_>, Denied> {
        StateGuard::lock(self.state.lock_of_decisions())
    }

    /// The one function that every question of this crate ends in.
    fn decide<'s>(
        &self,
        state: &'s mut State,
        attempt: &Attempt<'_>,
        usage: Usage,
        recording: Recording,
        now: Instant,
    ) -> Result<(Permit<'s>, DecisionId), Denied> {
        self.follow_operator(state);
        self.follow_pass(state);
        self.judge(state, attempt, usage, recording, now)
    }

    /// Decides by the policy that the state has.
    fn judge<'s>(
        &self,
        state: &'s State,
        attempt: &Attempt<'_>,
        usage: Usage,
        recording: Recording,
        now: Instant,
    ) -> Result<(Permit<'s>, DecisionId), Denied> {
        let situation = Situation {
            grants: &state.grants,
            peers: &state.peers,
            usage,
            now,
        };
        let recorder = &self.process().recorder;
        let whose = (self.component.name(), self.number);
        let policy = state.in_force();
        match policy.decide(attempt, &situation) {
            // Whatever would be recorded, and cannot be, is not done.
            Decision::Allow(_) if recording.is_complete() && !recorder.can_record() => {
                let reason = Reason::AuditUnavailable;
                self.refuse(attempt.operation(), &destination(attempt), reason);
                Err(Denied::new(reason))
            }
            Decision::Allow(permit) => {
                if recording.counts_permits() {
                    self.count_permit(attempt);
                }
                if !recording.is_complete() || !recorder.wants(Verdict::Allow) {
                    // No number is drawn where nobody is told of it: all threads share the counter.
                    return Ok((permit, DecisionId::default()));
                }
                let id = recorder.next_decision();
                self.record(Verdict::Allow, || AuditEvent {
                    lookup: recording.lookup(),
                    ..AuditEvent::allowed(id.get(), whose, attempt, &permit)
                });
                Ok((permit, DecisionId(Some(id))))
            }
            Decision::Deny(denial) => {
                if recording != Recording::Aside {
                    self.count_denial(attempt.operation(), denial.reason());
                }
                if recording.tells_denials() {
                    let destination = || escape(&destination(attempt)).into_owned();
                    let rule = denial.cited();
                    self.trace_denial(attempt.operation(), destination, denial.reason(), rule);
                    let id = recorder.next_decision();
                    // Whoever writes a denial down wants all that refuses; who is only refused does not wait for it.
                    self.record(Verdict::Deny, || {
                        let (all, words) = (policy.denials(attempt, &situation), &*self.process().words);
                        AuditEvent {
                            lookup: recording.lookup(),
                            ..AuditEvent::denied(id.get(), whose, attempt, &denial, &all, words)
                        }
                    });
                }
                Err(Denied::new(denial.reason()))
            }
        }
    }

    fn follow_operator(&self, state: &mut State) {
        let operator = self.process().policy.load();
        // By address, since this is asked at each decision, and lists are long. The policy holds the one that it
        // knows, so that no other can come to lie at its address.
        if !std::ptr::eq::<Operator>(state.policy.operator(), &**operator) {
            state.policy = self.component.policy(Arc::clone(&operator));
        }
    }
}

/// The time as the runtime tells it, whose clock tests can stop; it is the machine's everywhere else.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The least time between two reports of refused datagrams of one instance.
const UNSOLICITED_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod read_back;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod whole_runs;
