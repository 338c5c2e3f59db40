//! The audit log of a run with changing answers, read back: at any moment `outport audit --why` says what was so.
//!
//! ```text
//! random run ──step──► Lookup, Enforcer ──► AuditLog ──► lines ──► outport_records::why ─┐
//!                └───► a naive model, kept beside it ─────────────────────────────────────┴─► agree, at 1,000 random moments
//! ```
//!
//! Look-ups of one name overtake each other, fail, are given up and make room for those of other names, in three instances of
//! two components. The clock of the run stands still in the midst of a step; the lines get times of their own, two
//! milliseconds apart, since a run takes less than one.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use futures::FutureExt;
use futures::future::BoxFuture;
use outport_policy::{Address, Name, Operator};
use outport_records::why::{Host, Question, Why};
use outport_records::{Record, Timestamp, Verdict};
use tokio::sync::oneshot;

use super::*;
use crate::audit::{AuditLog, AuditOutcome, AuditSink, Outcomes};
use crate::dns::{Answer, Resolve, ResolveError};
use crate::egress::Egress;
use crate::lookup::{Lookup, LookupError};
use crate::testing::{self, allow, answer};

const NAMES: [&str; 6] = ["a.test", "b.test", "c.test", "d.test", "e.test", "f.test"];
const ADDRESSES: [&str; 5] = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "fd00::5"];
const MOST_NAMES: usize = 3;
const STEPS: usize = 450;
const MOMENTS: usize = 1000;

/// A resolver whose questions wait until the run answers them.
#[derive(Default)]
struct Waiting(Mutex<Vec<oneshot::Sender<testing::Result>>>);

impl Resolve for Waiting {
    fn resolve(&self, _: &Name) -> BoxFuture<'static, testing::Result> {
        let (reply, answer) = oneshot::channel();
        self.0.lock().unwrap().push(reply);
        async move { answer.await.unwrap_or(Err(ResolveError::TimedOut)) }.boxed()
    }
}

/// Counts the lines that the log gets.
#[derive(Default)]
struct Lines(AtomicUsize);

impl AuditSink for Lines {
    fn record(&self, _: &AuditEvent) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn outcomes(&self) -> Outcomes {
        Outcomes::All
    }

    fn record_outcome(&self, _: &AuditOutcome) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the model knows of a name: the number of its newest look-up, when that settled, and what it granted.
#[derive(Clone)]
struct Known {
    name: &'static str,
    number: usize,
    settled: usize,
    addresses: Vec<&'static str>,
}

/// A look-up in flight.
struct InFlight {
    name: &'static str,
    number: usize,
    reply: oneshot::Sender<testing::Result>,
    result: BoxFuture<'static, Result<Vec<Address>, LookupError>>,
}

struct Instance {
    component: &'static str,
    enforcer: Arc<Enforcer>,
    in_flight: Vec<InFlight>,
    begun: usize,
    model: Vec<Known>,
    /// Look-ups whose name made room for another since a later one settled.
    overtaken: Vec<usize>,
}

impl Instance {
    /// The model's rule: the newest counts, and the one that was looked up longest ago makes room.
    fn settle(&mut self, name: &'static str, number: usize, addresses: Vec<&'static str>, step: usize) {
        let newest = self
            .model
            .iter()
            .find(|known| known.name == name)
            .map(|known| known.number);
        if newest.is_some_and(|newest| newest > number) || self.overtaken.contains(&number) {
            return;
        }
        self.model.retain(|known| known.name != name);
        if newest.is_none() && self.model.len() == MOST_NAMES {
            let oldest = (0..MOST_NAMES)
                .min_by_key(|index| self.model[*index].settled)
                .unwrap();
            let forgotten = self.model.remove(oldest);
            let older = self
                .in_flight
                .iter()
                .filter(|own| own.name == forgotten.name && own.number < forgotten.number);
            self.overtaken.extend(older.map(|own| own.number));
        }
        self.model.push(Known {
            name,
            number,
            settled: step,
            addresses,
        });
    }

    fn names(&self, address: &str) -> Vec<String> {
        let granting = self
            .model
            .iter()
            .filter(|known| known.addresses.contains(&address));
        let mut names: Vec<String> = granting.map(|known| known.name.to_owned()).collect();
        names.sort_unstable();
        names
    }
}

/// What was so after a step: as many lines were written, and these names grant each address to each instance.
struct Snapshot {
    lines: usize,
    grants: Vec<[Vec<String>; ADDRESSES.len()]>,
    /// The instance that connected in this step, the address, and whether it was allowed.
    connected: Option<(usize, usize, bool)>,
}

/// Numbers that look random, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

struct Run {
    dice: Dice,
    resolver: Arc<Waiting>,
    lines: Arc<Lines>,
    written: Written,
    egress: Egress,
    instances: Vec<Instance>,
    snapshots: Vec<Snapshot>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut operator = Operator::default();
        operator.quotas.granted_names = MOST_NAMES;
        operator.quotas.lookup_time = Duration::from_secs(1_000_000);
        let (resolver, lines, written) = (
            Arc::<Waiting>::default(),
            Arc::<Lines>::default(),
            Written::default(),
        );
        let log = AuditLog::to(written.clone()).unwrap();
        let egress = Egress::builder().operator(operator).resolver(resolver.clone());
        let egress = egress.sink(Arc::new(log)).sink(lines.clone()).build().unwrap();
        let instances = ["web", "web", "api"].map(|component| Instance {
            component,
            enforcer: egress
                .gate(component, allow(&["*://*.test:80"]))
                .open()
                .enforcer
                .clone(),
            in_flight: Vec::new(),
            begun: 0,
            model: Vec::new(),
            overtaken: Vec::new(),
        });
        Self {
            dice: Dice(seed),
            resolver,
            lines,
            written,
            egress,
            instances: instances.into(),
            snapshots: Vec::new(),
        }
    }

    fn step(&mut self, step: usize) {
        let which = self.dice.below(self.instances.len());
        let connected = match self.dice.below(10) {
            0..4 => {
                self.begin(which);
                None
            }
            4..8 => {
                self.answer(which, step);
                None
            }
            _ => Some(self.connect(which)),
        };
        let grants = self
            .instances
            .iter()
            .map(|own| ADDRESSES.map(|address| own.names(address)));
        self.snapshots.push(Snapshot {
            lines: self.lines.0.load(Ordering::Relaxed),
            grants: grants.collect(),
            connected,
        });
    }

    fn begin(&mut self, which: usize) {
        let name = NAMES[self.dice.below(NAMES.len())];
        let instance = &mut self.instances[which];
        let Ok(Lookup::Pending(asked)) = Lookup::start(&instance.enforcer, name) else {
            return;
        };
        instance.begun += 1;
        let mut result = asked.answer().boxed();
        assert!((&mut result).now_or_never().is_none());
        instance.in_flight.push(InFlight {
            name,
            number: instance.begun,
            reply: self.resolver.0.lock().unwrap().pop().unwrap(),
            result,
        });
    }

    fn answer(&mut self, which: usize, step: usize) {
        let instance = &mut self.instances[which];
        if instance.in_flight.is_empty() {
            return;
        }
        let lookup = instance
            .in_flight
            .remove(self.dice.below(instance.in_flight.len()));
        let (name, number) = (lookup.name, lookup.number);
        let said = match self.dice.below(8) {
            0 => return drop(lookup),
            1 => Err(ResolveError::Failed {
                detail: "SERVFAIL".to_owned(),
            }),
            2 => {
                instance.settle(name, number, Vec::new(), step);
                Err(ResolveError::NoSuchName)
            }
            // Which the rebinding guard refuses.
            3 => {
                instance.settle(name, number, Vec::new(), step);
                answer(&["127.0.0.1"])
            }
            _ => {
                let mut addresses: Vec<_> = ADDRESSES
                    .into_iter()
                    .filter(|_| self.dice.below(3) == 0)
                    .collect();
                if addresses.is_empty() {
                    addresses.push(ADDRESSES[0]);
                }
                instance.settle(name, number, addresses.clone(), step);
                answer(&addresses)
            }
        };
        let mut result = lookup.result;
        lookup.reply.send(said as Result<Answer, _>).unwrap();
        assert!((&mut result).now_or_never().is_some(), "nothing else holds it up");
    }

    fn connect(&mut self, which: usize) -> (usize, usize, bool) {
        let address = self.dice.below(ADDRESSES.len());
        let remote = SocketAddr::new(ADDRESSES[address].parse().unwrap(), 80);
        let instance = &self.instances[which];
        let is_allowed = instance
            .enforcer
            .authorize_connect(Transport::Tcp, remote)
            .is_ok();
        assert_eq!(
            is_allowed,
            !instance.names(ADDRESSES[address]).is_empty(),
            "the model is wrong"
        );
        (which, address, is_allowed)
    }

    /// The log, with a time of its own for each line.
    fn log(&self) -> Vec<String> {
        let text = String::from_utf8(self.written.0.lock().unwrap().clone()).unwrap();
        let dated = text.lines().enumerate().map(|(index, line)| {
            let rest = line.split_at("{\"ts\":\"2026-03-01T09:30:00.000Z".len()).1;
            format!("{{\"ts\":\"{}{rest}", time_of(index))
        });
        dated.collect()
    }
}

/// The time of a line.
fn time_of(line: usize) -> Timestamp {
    Timestamp::from_millis(1_772_000_000_000 + 2 * line as u64)
}

// proves: DNS-3, DNS-4, DNS-5, DNS-7, DNS-12, RSN-6
#[test]
fn what_the_log_says_of_a_thousand_moments_is_what_was_so() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let mut run = runtime.block_on(async {
        let mut run = Run::new(0x0dd5_eed5);
        for step in 0..STEPS {
            // So that of two names it is known which was looked up first.
            tokio::time::advance(Duration::from_millis(10)).await;
            run.step(step);
        }
        run
    });
    run.egress.flush();
    let log = run.log();
    let records: Vec<Record<'_>> = log
        .iter()
        .map(|line| Record::parse(line.as_bytes()).unwrap_or_else(|problem| panic!("{line}: {problem}")))
        .collect();
    assert!(records.len() >= STEPS, "{}", records.len());
    let evicted =
        |record: &&Record<'_>| matches!(record, Record::Outcome(outcome) if outcome.evicted.is_some());
    assert!(records.iter().filter(evicted).count() > 10, "names make room");

    let (mut granted, mut connected) = (0, 0);
    for _ in 0..MOMENTS {
        let snapshot = &run.snapshots[run.dice.below(run.snapshots.len())];
        let mut address = run.dice.below(ADDRESSES.len());
        if let Some((_, reached, _)) = snapshot.connected {
            address = reached;
        }
        let Some(last) = snapshot.lines.checked_sub(1) else {
            continue;
        };
        let mut why = Why::new(Question {
            host: Host::written(ADDRESSES[address]).0,
            port: None,
            from: time_of(last),
            // Until just before the next line.
            until: Timestamp::from_millis(time_of(last).millis() + 1),
            components: Vec::new(),
            instances: Vec::new(),
        });
        records.iter().for_each(|record| why.add(record));
        let answer = why.answer();
        assert_eq!(answer.unknown, []);
        for (index, instance) in run.instances.iter().enumerate() {
            let place = format!(
                "line {last}, instance {index}, {}\n{}",
                ADDRESSES[address],
                log[..=last].join("\n")
            );
            let own = answer
                .subjects
                .iter()
                .find(|own| own.instance == instance.enforcer.number);
            let names = |grants: &[outport_records::why::Grant]| {
                let mut names: Vec<_> = grants.iter().map(|grant| grant.lookup.name.clone()).collect();
                names.sort_unstable();
                names
            };
            let expected = &snapshot.grants[index][address];
            let found = own.map(|own| names(&own.granted_by)).unwrap_or_default();
            assert_eq!(found, *expected, "{place}");
            granted += found.len();
            if let Some(own) = own {
                assert_eq!(own.component, instance.component, "{place}");
            }
            if let Some((which, _, is_allowed)) = snapshot.connected
                && which == index
            {
                let attempt = &own.unwrap().attempts[0];
                assert_eq!(attempt.verdict == Verdict::Allow, is_allowed, "{place}");
                assert_eq!(names(&attempt.granted_by), *expected, "{place}");
                connected += 1;
            }
        }
    }
    assert!(
        granted > 300 && connected > 100,
        "{granted} grants, {connected} connects"
    );
}
