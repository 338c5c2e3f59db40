//! What of a connect, a look-up and a request is counted in instructions, for `benches/instructions.toml`.
//!
//! `outport-bench count --outport PROGRAM --cache FOLDER` prints them, a line for each as they stand in that file, and
//! `scripts/bench --check-instructions` compares.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use outport_e2e::dns::{DnsServer, Reply};

use crate::callgrind::Counter;
use crate::http_client::HttpClient;
use crate::hyper_alone;
use crate::peers;
use crate::server::free_address;

/// One piece of work.
pub(crate) struct Scenario {
    name: &'static str,
    guest: &'static str,
    audit: Audit,
    work: Work,
    /// How often it is done, so that what varies with the start of a process does not count: few times, and many.
    times: [u64; 2],
}

/// Whether each decision is written down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Audit {
    Off,
    On,
}

/// What the process does again and again.
#[derive(Clone, Copy)]
enum Work {
    /// A guest connects over TCP, and closes.
    Connect,
    /// A guest is refused a connect.
    Refused,
    /// A guest sends 64 bytes over TCP and gets them back.
    RoundTrip,
    /// A guest looks a name up whose answer is still good.
    Lookup,
    /// A guest fetches over HTTP, on a connection that is open.
    Fetch,
    /// A request comes in, and is answered by an instance.
    Answer,
}

const SCENARIOS: [Scenario; 11] = [
    Scenario::run("connect", "script-guest", Work::Connect),
    Scenario::run("connect-audited", "script-guest", Work::Connect).audited(),
    Scenario::run("connect-0.3", "script-guest-p3", Work::Connect),
    Scenario::run("connect-refused", "script-guest", Work::Refused),
    Scenario::run("round-trip", "script-guest", Work::RoundTrip),
    Scenario::run("round-trip-0.3", "script-guest-p3", Work::RoundTrip),
    Scenario::run("look-up", "script-guest", Work::Lookup),
    Scenario::run("fetch", "script-guest", Work::Fetch),
    Scenario::run("fetch-0.3", "script-guest-p3", Work::Fetch),
    Scenario::serve("answer", "hello"),
    Scenario::serve("answer-0.3", "http-script-guest-p3"),
];

impl Scenario {
    const fn run(name: &'static str, guest: &'static str, work: Work) -> Self {
        Self {
            name,
            guest,
            audit: Audit::Off,
            work,
            times: [100, 500],
        }
    }

    const fn serve(name: &'static str, guest: &'static str) -> Self {
        Self {
            times: [30, 130],
            ..Self::run(name, guest, Work::Answer)
        }
    }

    const fn audited(self) -> Self {
        Self {
            audit: Audit::On,
            ..self
        }
    }

    fn count(&self, counter: &Counter) -> u64 {
        let [few, many] = thread::scope(|scope| {
            let totals = self
                .times
                .map(|times| scope.spawn(move || self.total(counter, times)));
            totals.map(|total| total.join().expect("a count that fails ends the program"))
        });
        many.saturating_sub(few) / (self.times[1] - self.times[0])
    }

    /// Fills the cache of compiled code.
    fn rehearse(&self, counter: &Counter) {
        match self.work {
            Work::Answer => {
                self.total(counter, 1);
            }
            _ => counter.rehearse(&self.options("run", &["print hello".to_owned()])),
        }
    }

    fn total(&self, counter: &Counter, times: u64) -> u64 {
        match self.work {
            Work::Connect => {
                let connect = format!("repeat {times} tcp.connect {}", peers::acceptor());
                self.ran(counter, &[], &[connect])
            }
            Work::Refused => {
                let connect = format!("repeat {times} tcp.connect 192.0.2.1:80");
                self.ran(counter, &[], &[connect])
            }
            Work::RoundTrip => {
                let connect = format!("tcp.connect {} as c", peers::echo());
                self.ran(counter, &[], &[connect, format!("tcp.ping c {times}")])
            }
            Work::Lookup => {
                let server = DnsServer::start();
                server.answers("db.test", [Reply::addresses(["10.0.0.5"]).ttl(3600)]);
                let ask = format!("--dns-server={}", server.address());
                let lookup = format!("repeat {times} dns.lookup db.test");
                self.ran(counter, &[ask], &[lookup])
            }
            Work::Fetch => {
                let fetch = format!("repeat {times} http GET http://{}/", origin());
                self.ran(counter, &[], &[fetch])
            }
            Work::Answer => self.answered(counter, times),
        }
    }

    /// Instructions of a guest that runs statements.
    fn ran(&self, counter: &Counter, options: &[String], statements: &[String]) -> u64 {
        let mut arguments = self.options("run", statements);
        arguments.splice(1..1, options.iter().cloned());
        counter.start(&arguments).total()
    }

    /// Instructions of a server that answers so many requests, one after the other on one connection.
    fn answered(&self, counter: &Counter, times: u64) -> u64 {
        let mut arguments = self.options("serve", &[]);
        let options = ["--listen=127.0.0.1:0".to_owned(), "--workers=1".to_owned()];
        arguments.splice(1..1, options);
        let mut counted = counter.start(&arguments);
        let mut client = HttpClient::connect(counted.address());
        for _ in 0..times {
            client.get("/hello");
        }
        counted.stop();
        counted.total()
    }

    /// The arguments of `outport`: how it is run, with which guest, and the guest's own.
    fn options(&self, command: &str, of_guest: &[String]) -> Vec<String> {
        let mut options = vec![
            command.to_owned(),
            "-q".to_owned(),
            "--kernel-sandbox=off".to_owned(),
            "--allowed-outbound-hosts=*://127.0.0.0/8:*,*://db.test:5432".to_owned(),
        ];
        if self.audit == Audit::On {
            options.push("--audit-log=/dev/null".to_owned());
        }
        options.push(outport_e2e::guest::path(self.guest).display().to_string());
        options.extend_from_slice(of_guest);
        options
    }
}

/// A native HTTP server in this process.
fn origin() -> SocketAddr {
    let address = free_address();
    thread::spawn(move || hyper_alone::serve(address));
    drop(HttpClient::connect(address));
    address
}

/// Counts everything, and says each count as soon as it is known.
pub(crate) fn count(program: &Path, cache: &Path, mut say: impl FnMut(&str)) {
    let counter = Counter::new(program, cache);
    let mut rehearsed = Vec::new();
    for scenario in &SCENARIOS {
        if !rehearsed.contains(&scenario.guest) {
            scenario.rehearse(&counter);
            rehearsed.push(scenario.guest);
        }
        say(&format!("{} = {}\n", scenario.name, scenario.count(&counter)));
    }
}
