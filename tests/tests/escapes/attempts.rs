//! Makes the attempts of one world on the built binary, and says what came of each.
//!
//! ```text
//! attempt ──a request an instance──► outport serve | up ──► guest ──► listeners outside, name server
//!    │                                      │
//!    └──what must happen──► compare ◄───────┴── results, audit log, arrivals, questions
//! ```
//!
//! Every instance starts with a statement that is always refused, a bind to a port that says which attempt it
//! belongs to. By that the instance numbers of the audit log find their attempts.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use outport_e2e::audit::AuditLine;
use outport_e2e::dns::DnsServer;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::script::results;
use outport_e2e::{guest, http};

use super::outside::Outside;
use super::table::{Attempt, Ending, Step, World, fits, reply};

/// What all attempts together came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) attempts: usize,
    pub(crate) denied: usize,
    pub(crate) impossible: usize,
    pub(crate) through: usize,
    /// Connections and datagrams that arrived outside.
    pub(crate) arrived: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.attempts += other.attempts;
        self.denied += other.denied;
        self.impossible += other.impossible;
        self.through += other.through;
        self.arrived += other.arrived;
    }

    fn count(&mut self, ending: Ending) {
        self.attempts += 1;
        match ending {
            Ending::Denied => self.denied += 1,
            Ending::Impossible => self.impossible += 1,
            Ending::Through => self.through += 1,
        }
    }
}

/// Numbers in the columns of the report.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:8} {:8} {:10} {:8} {:8}",
            self.attempts, self.denied, self.impossible, self.through, self.arrived
        )
    }
}

/// Runs a world with each of its guests. What was not as the table says is told in `complaints`.
pub(crate) fn run_world(world: &World, outside: &Outside, complaints: &mut Vec<String>) -> Counts {
    let dns = DnsServer::start();
    answer(&dns, &world.dns);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let guests = world.guests().into_iter();
    let apps: Vec<_> = guests
        .map(|(version, guest, form)| {
            // Messages have the name of the file.
            let of_form = folder.path().join(format!("{form:?}"));
            fs::create_dir_all(&of_form).expect("a temporary folder");
            let file = of_form.join(guest).with_extension("wasm");
            fs::write(&file, guest::bytes_as(guest, form)).expect("a temporary file");
            ((version, form), start(world, &file, &dns))
        })
        .collect();
    // What they ask the name server at their start must not be taken for what a guest made them ask.
    for (_, app) in &apps {
        app.address();
    }
    let mut metrics = Counts::default();
    for ((version, form), app) in apps {
        let ask = |component: &str, script: &str| request(&app, component, script);
        let round = Round::play(world, version, &ask, &dns, outside);
        let finished = app.stop();
        let (counts, found) = round.compare(&finished.audit, outside);
        metrics.add(counts);
        if !found.is_empty() {
            let found = found.join("\n  ");
            complaints.push(format!("{} (WASI {version}, {form:?})\n  {found}", world.name));
        }
    }
    metrics
}

/// Asks a component to do what a script says: the status of the answer, and its body.
pub(crate) type Ask<'a> = &'a dyn Fn(&str, &str) -> (u16, String);

/// All attempts of a world, made on one app.
pub(crate) struct Round {
    attempts: Vec<Attempt>,
    counts: Counts,
    /// Arrivals until then.
    before: usize,
    complaints: Vec<String>,
}

impl Round {
    /// Makes the attempts that are for this version of WASI.
    pub(crate) fn play(
        world: &World,
        version: &str,
        ask: Ask<'_>,
        dns: &DnsServer,
        outside: &Outside,
    ) -> Self {
        let attempts = world.attempt.iter().flat_map(Attempt::variants);
        let attempts: Vec<_> = attempts.filter(|attempt| attempt.is_for(version)).collect();
        let mut runner = Runner {
            ask,
            dns,
            outside,
            number: 0,
            complaints: Vec::new(),
        };
        let (before, mut counts) = (outside.arrivals(), Counts::default());
        for attempt in &attempts {
            runner.number += 1;
            counts.count(runner.attempt(attempt));
            answer(dns, &world.dns);
        }
        Self {
            complaints: runner.complaints,
            attempts,
            counts,
            before,
        }
    }

    /// Compares what came of it, once the app has ended: the numbers, and what is not as the table says.
    pub(crate) fn compare(mut self, audit: &[AuditLine], outside: &Outside) -> (Counts, Vec<String>) {
        self.complaints.extend(compare_denials(&self.attempts, audit));
        let arrived = outside.arrivals() - self.before;
        let expected: usize = self.attempts.iter().map(|attempt| attempt.reaches).sum();
        self.counts.arrived = arrived;
        if arrived != expected {
            self.complaints
                .push(format!("{arrived} arrivals outside instead of {expected}"));
        }
        (self.counts, self.complaints)
    }
}

fn request(app: &Running, component: &str, script: &str) -> (u16, String) {
    let address = app.address();
    let response = http::send(address, &written(address, component, script))
        .unwrap_or_else(|error| panic!("{script}: {error}\n{app}"));
    (response.status, response.body)
}

/// The request that hands a script to a component.
pub(crate) fn written(address: SocketAddr, component: &str, script: &str) -> String {
    format!(
        "POST /{component}/script HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{script}",
        script.len()
    )
}

/// Has the name server answer so.
pub(crate) fn answer(dns: &DnsServer, replies: &BTreeMap<String, Vec<String>>) {
    for (name, replies) in replies {
        dns.answers(name, replies.iter().map(|text| reply(text)));
    }
}

fn start(world: &World, guest: &Path, dns: &DnsServer) -> Running {
    let outport = if world.components.is_empty() {
        world.allow.iter().fold(Outport::serve(guest), Outport::allow)
    } else {
        Outport::up(&manifest(&world.components, guest))
    };
    let outport = world.deny.iter().fold(outport, Outport::deny);
    let outport = world
        .environment
        .iter()
        .fold(outport, |outport, (name, value)| outport.variable(name, value));
    // Attempts are told apart by their instances.
    let outport = outport.option("--max-instance-reuse-count=1");
    outport.options(&world.options).dns(dns).start()
}

/// An app of components of one file, each with its list.
pub(crate) fn manifest(components: &BTreeMap<String, Vec<String>>, source: &Path) -> String {
    let head = "spin_manifest_version = 2\napplication.name = \"escapes\"\n".to_owned();
    components.iter().fold(head, |text, (component, entries)| {
        format!(
            "{text}\n[[trigger.http]]\nroute = \"/{component}/...\"\ncomponent = \"{component}\"\n\n\
             [component.{component}]\nsource = {source:?}\nallowed_outbound_hosts = {entries:?}\n"
        )
    })
}

struct Runner<'a> {
    ask: Ask<'a>,
    dns: &'a DnsServer,
    outside: &'a Outside,
    number: u16,
    complaints: Vec<String>,
}

impl Runner<'_> {
    /// Makes one attempt and says how it ended.
    fn attempt(&mut self, attempt: &Attempt) -> Ending {
        answer(self.dns, &attempt.dns);
        let (asked, arrived) = (self.dns.queries().len(), self.outside.arrivals());
        let mut last = String::new();
        for (component, steps) in instances(attempt) {
            let statements: Vec<&str> = steps.iter().map(|(statement, _)| statement.as_str()).collect();
            let got = self.request(&component, &statements);
            for (index, (statement, expected)) in steps.iter().enumerate() {
                last = got.get(index).cloned().unwrap_or_default();
                if !fits(&last, expected) {
                    self.complain(
                        attempt,
                        format!("`{statement}` gets `{last}` instead of `{expected}`"),
                    );
                }
            }
        }
        let arrived = self.outside.wait_for(arrived + attempt.reaches) - arrived;
        if arrived != attempt.reaches {
            self.complain(
                attempt,
                format!("{arrived} arrivals outside instead of {}", attempt.reaches),
            );
        }
        if let Some(expected) = &attempt.asks {
            let queries = self.dns.queries().into_iter().skip(asked);
            let mut names: Vec<String> = queries.map(|query| query.name).collect();
            names.sort();
            names.dedup();
            if names != *expected {
                self.complain(
                    attempt,
                    format!("the name server is asked for {names:?} instead of {expected:?}"),
                );
            }
        }
        let ending = ending(&last, is_denied_last(attempt));
        if ending != attempt.ends {
            self.complain(attempt, format!("ends as {ending:?} with `{last}`"));
        }
        ending
    }

    /// The results of the statements in an instance of their own.
    fn request(&mut self, component: &str, statements: &[&str]) -> Vec<String> {
        let marker = format!("tcp.bind 127.0.0.1:{}", self.number);
        let script = [&marker]
            .into_iter()
            .map(String::as_str)
            .chain(statements.iter().copied());
        let script = script.collect::<Vec<_>>().join("\n");
        let (status, body) = (self.ask)(component, &script);
        if status != 200 {
            self.complaints.push(format!("{script}\n{body}"));
        }
        results(&body).into_iter().skip(1).map(str::to_owned).collect()
    }

    fn complain(&mut self, attempt: &Attempt, what: String) {
        self.complaints.push(describe(attempt, &what));
    }
}

fn describe(attempt: &Attempt, what: &str) -> String {
    format!("{} {}: {what}", attempt.id, attempt.guest)
}

/// Statements and results by instance, each with the component that it is of.
fn instances(attempt: &Attempt) -> Vec<(String, Vec<(String, String)>)> {
    let mut instances = vec![("it".to_owned(), Vec::new())];
    for step in attempt.steps() {
        match step {
            Step::In(component) => instances.push((component, Vec::new())),
            Step::Does {
                statement, result, ..
            } => {
                let (_, steps) = instances.last_mut().expect("there is a first one");
                steps.push((statement, result));
            }
        }
    }
    instances.retain(|(_, steps)| !steps.is_empty());
    instances
}

/// Whether the last step names a reason for which it is denied.
fn is_denied_last(attempt: &Attempt) -> bool {
    match attempt.steps().last() {
        Some(Step::Does { reasons, .. }) => reasons.iter().any(|reason| !reason.ends_with('?')),
        Some(Step::In(_)) | None => false,
    }
}

/// How an attempt ended, by what the guest got last. What a peer or a name server may do as well is told apart by whether
/// there has to be a reason, which the audit log is asked for.
fn ending(result: &str, has_reason: bool) -> Ending {
    const AS_IF_BY_OTHERS: [&str; 5] = [
        "closed",
        "connection-reset",
        "temporary-resolver-failure",
        "DNS-timeout",
        "DNS-error",
    ];
    const DENIED: [&str; 10] = [
        "access-denied",
        "HTTP-request-denied",
        "destination-IP-prohibited",
        "new-socket-limit",
        "connection-limit-reached",
        // What host interfaces have for it.
        "connection-failed(\"it is not permitted\")",
        "connection-failed(\"the address is not understood:",
        "destination-not-allowed",
        "invalid-address",
        "model-not-supported",
    ];
    const IMPOSSIBLE: [&str; 14] = [
        "invalid-argument",
        "invalid-state",
        "invalid-authority",
        "invalid-path",
        "invalid-url",
        "invalid-scheme",
        "HTTP-request-URI-invalid",
        "name-unresolvable",
        "destination-not-found",
        "closed",
        "header-error",
        "HTTP-protocol-error",
        "HTTP-request-body-size",
        "io(",
    ];
    let is = |codes: &[&str]| codes.iter().any(|code| result.starts_with(code));
    match () {
        () if is(&DENIED) || (has_reason && is(&AS_IF_BY_OTHERS)) => Ending::Denied,
        // What WASI 0.3 has instead of `new-socket-limit`. Other errors that are called so say what they are.
        () if result == "other" => Ending::Denied,
        // What Spin's first interface of Redis has for everything; the reasons tell which it is.
        () if result == "error" => Ending::Denied,
        () if is(&IMPOSSIBLE) => Ending::Impossible,
        () => Ending::Through,
    }
}

/// Whether the reasons are those expected, of which one with a question mark may be missing.
fn agree(found: &[String], expected: &[String]) -> bool {
    match (found, expected) {
        ([], []) => true,
        ([first, rest @ ..], [next, others @ ..]) if first == next.trim_end_matches('?') => {
            agree(rest, others)
        }
        (_, [next, others @ ..]) if next.ends_with('?') => agree(found, others),
        _ => false,
    }
}

/// What the audit log has for each attempt, against what it must have.
fn compare_denials(attempts: &[Attempt], audit: &[AuditLine]) -> Vec<String> {
    const MARK: &str = "127.0.0.1:";
    let mut owners: BTreeMap<String, usize> = BTreeMap::new();
    let mut reasons: Vec<Vec<String>> = vec![Vec::new(); attempts.len()];
    for line in audit.iter().filter(|line| line.denied()) {
        let instance = line.field("instance");
        if let Some(owner) = owners.get(&instance) {
            reasons[*owner].push(line.reason());
            continue;
        }
        let destination = line.field("destination");
        let number = destination
            .strip_prefix(MARK)
            .and_then(|number| number.parse::<usize>().ok());
        let number = number.filter(|number| (1..=attempts.len()).contains(number));
        match number {
            Some(number) if line.reason() == "hard.bind" => {
                owners.insert(instance, number - 1);
            }
            _ => return vec![format!("a denial of no attempt: {line}")],
        }
    }
    let pairs = attempts.iter().zip(reasons);
    pairs
        .filter_map(|(attempt, found)| {
            let steps = attempt.steps();
            let expected = steps.iter().flat_map(|step| match step {
                Step::Does { reasons, .. } => &reasons[..],
                Step::In(_) => &[],
            });
            let expected: Vec<String> = expected.cloned().collect();
            let what = format!("the audit log has {found:?} instead of {expected:?}");
            (!agree(&found, &expected)).then(|| describe(attempt, &what))
        })
        .collect()
}
