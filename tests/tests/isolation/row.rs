//! One row of the table: something hostile beside the neighbour, in a process of its own.
//!
//! ```text
//! up: hello and hostile ─► calm ─► attack ───────────────────► SIGTERM ─► end
//!                          hello   hello, memory, descriptors    (attack goes on)
//! ```
//!
//! What is asked of every row: each request to hello succeeds, its median stays near the calm one, resident memory stays
//! within `--max-memory-total` and 150 MiB more, the process ends by itself after SIGTERM and its grace. A row may ask
//! for more. Whatever does not hold is a complaint, and the next row begins with a new process.

use std::any::Any;
use std::env;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::outport::{Outport, Running};
use rustix::process::Signal;

use crate::component::Hostile;
use crate::neighbour::Visits;
use crate::watch::Watch;

type Attack = Box<dyn Fn(&Scene<'_>) + Sync>;
type Check = Box<dyn Fn(&Seen) -> Option<String>>;

/// Something hostile, and what is asked of the server meanwhile.
pub(crate) struct Row {
    name: &'static str,
    clause: &'static str,
    hostile: Option<Hostile>,
    options: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
    /// The line of `spin.toml` that gives them to the hostile component.
    files_line: &'static str,
    manifest: String,
    total: u64,
    descriptors: Option<u32>,
    stdout_is_read: bool,
    lasts: Duration,
    settles: bool,
    attack: Attack,
    checks: Vec<Check>,
    refusal: Option<&'static [&'static str]>,
    kept: Vec<Box<dyn Any>>,
}

/// Where an attack takes place.
pub(crate) struct Scene<'a> {
    /// Where the server listens.
    pub(crate) server: SocketAddr,
    ended: &'a AtomicBool,
    answers: &'a AtomicUsize,
    complaints: &'a Mutex<Vec<String>>,
}

/// What was seen of a row.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) calm: Visits,
    pub(crate) under: Visits,
    pub(crate) peak: u64,
    pub(crate) descriptors: usize,
    /// Processor time of the process during the attack.
    pub(crate) processor: Duration,
    /// How often the hostile component answered, with whatever, or hung up.
    pub(crate) answers: usize,
    pub(crate) stderr: String,
    /// What the attack itself found.
    complaints: Vec<String>,
    /// The server did not start, and said why.
    refused: bool,
    ended: bool,
}

impl Row {
    /// A row whose attack is one client that asks `/hostile` again and again.
    pub(crate) fn new(name: &'static str, clause: &'static str) -> Row {
        Row {
            name,
            clause,
            hostile: None,
            options: Vec::new(),
            files: Vec::new(),
            files_line: "",
            manifest: String::new(),
            total: 128 << 20,
            descriptors: None,
            stdout_is_read: true,
            lasts: Duration::from_millis(1000),
            settles: false,
            attack: Box::new(|scene| scene.ask_again_and_again()),
            checks: Vec::new(),
            refusal: None,
            kept: Vec::new(),
        }
    }

    /// The component at `/hostile`.
    pub(crate) fn hostile(self, hostile: Hostile) -> Row {
        Row {
            hostile: Some(hostile),
            ..self
        }
    }

    /// A further option.
    pub(crate) fn option(mut self, option: impl Into<String>) -> Row {
        self.options.push(option.into());
        self
    }

    /// A file in the server's working directory.
    pub(crate) fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Row {
        self.files.push((name.to_owned(), content.as_ref().to_vec()));
        self
    }

    /// The hostile component has a directory, with the file `a` of one byte and the file `big` of 20 MB.
    pub(crate) fn with_files(mut self) -> Row {
        self.files_line = "files = [\"a\", \"big\"]\n";
        self.file("a", "a").file("big", vec![b'a'; 20_000_000])
    }

    /// Further lines of `spin.toml`.
    pub(crate) fn manifest(mut self, lines: &str) -> Row {
        self.manifest += lines;
        self
    }

    /// How many descriptors the server may have.
    pub(crate) fn descriptors(self, number: u32) -> Row {
        Row {
            descriptors: Some(number),
            ..self
        }
    }

    /// Nobody reads the server's standard output.
    pub(crate) fn unread_stdout(self) -> Row {
        Row {
            stdout_is_read: false,
            ..self
        }
    }

    /// How long the neighbour is looked at under attack, instead of 1 s.
    pub(crate) fn lasts(self, lasts: Duration) -> Row {
        Row { lasts, ..self }
    }

    /// Looks on until the process takes no more memory, for four seconds more at most.
    pub(crate) fn until_it_is_full(self) -> Row {
        Row {
            settles: true,
            ..self
        }
    }

    /// So many clients ask `/hostile` at a time.
    pub(crate) fn clients(self, number: usize) -> Row {
        self.attack(move |scene| {
            thread::scope(|scope| {
                for _ in 0..number {
                    scope.spawn(|| scene.ask_again_and_again());
                }
            });
        })
    }

    /// One client asks `/hostile` once.
    pub(crate) fn once(self) -> Row {
        self.attack(|scene| {
            scene.ask();
            scene.wait();
        })
    }

    /// What attacks, until the scene [is over](Scene::is_over).
    pub(crate) fn attack(self, attack: impl Fn(&Scene<'_>) + Sync + 'static) -> Row {
        Row {
            attack: Box::new(attack),
            ..self
        }
    }

    /// Keeps a peer for as long as the row.
    pub(crate) fn keep(mut self, peer: impl Any) -> Row {
        self.kept.push(Box::new(peer));
        self
    }

    /// The server may refuse to start instead, if it says one of these words.
    pub(crate) fn or_is_refused(self, words: &'static [&'static str]) -> Row {
        Row {
            refusal: Some(words),
            ..self
        }
    }

    /// A further demand: `None` if it is met.
    pub(crate) fn asks(mut self, check: impl Fn(&Seen) -> Option<String> + 'static) -> Row {
        self.checks.push(Box::new(check));
        self
    }

    /// Requests to the hostile component come to an end: so many at least during the attack.
    pub(crate) fn ends(self, answers: usize) -> Row {
        self.asks(move |seen| {
            (seen.answers < answers).then(|| format!("{} of {answers} hostile requests ended", seen.answers))
        })
    }

    /// The process uses no more processor time than that during the attack.
    pub(crate) fn within_processor(self, limit: Duration) -> Row {
        self.asks(move |seen| {
            (seen.processor > limit)
                .then(|| format!("{:.1?} of processor time, not {limit:?}", seen.processor))
        })
    }

    /// Standard error has no more lines than that.
    pub(crate) fn within_lines(self, limit: usize) -> Row {
        self.asks(move |seen| {
            let lines = seen.stderr.lines().count();
            (lines > limit).then(|| format!("{lines} lines on standard error, not {limit}"))
        })
    }

    /// Standard error says this.
    pub(crate) fn says(self, text: &'static str) -> Row {
        self.asks(move |seen| {
            (!seen.stderr.contains(text)).then(|| format!("standard error says nothing of `{text}`"))
        })
    }

    fn play(&self) -> Seen {
        let mut running = self.outport().start();
        let watch = Watch::of(running.id());
        let Some(server) = self.started(&running, watch) else {
            let stderr = running.finish().stderr;
            return Seen {
                refused: true,
                ended: true,
                stderr,
                ..Seen::default()
            };
        };
        let mut seen = Seen::default();
        Visits::times(10, server);
        seen.calm = Visits::times(40, server);
        watch.forget_peak();
        let (ended, answers, before) = (AtomicBool::new(false), AtomicUsize::new(0), watch.processor());
        let complaints = Mutex::new(Vec::new());
        thread::scope(|scope| {
            let scene = Scene {
                server,
                ended: &ended,
                answers: &answers,
                complaints: &complaints,
            };
            let _end = EndOnDrop(&ended);
            let attack = &self.attack;
            let most = scope.spawn(|| most_descriptors(watch, &ended));
            scope.spawn(move || attack(&scene));
            thread::sleep(Duration::from_millis(150));
            seen.under = Visits::lasting(self.lasts, server);
            let (full, mut peak) = (Instant::now(), 0);
            while self.settles && watch.peak() > peak && full.elapsed() < Duration::from_secs(4) {
                peak = watch.peak() + (1 << 20);
                seen.under
                    .add(Visits::lasting(Duration::from_millis(300), server));
            }
            seen.processor = watch.processor().saturating_sub(before);
            seen.answers = answers.load(Ordering::SeqCst);
            seen.peak = watch.peak();
            running.signal(Signal::TERM);
            seen.ended = watch.ends_within(GRACE + MORE_THAN_GRACE).is_some();
            ended.store(true, Ordering::SeqCst);
            seen.descriptors = most.join().expect("counting does not panic");
        });
        seen.complaints = complaints.into_inner().unwrap_or_default();
        seen.stderr = if seen.ended {
            running.finish().stderr
        } else {
            let said = running.stderr();
            running.signal(Signal::KILL);
            said
        };
        seen
    }

    /// Where it serves; nothing if it ended instead and may.
    fn started(&self, running: &Running, watch: Watch) -> Option<SocketAddr> {
        if self.refusal.is_some() {
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(60) && !running.stderr().contains("Serving http://") {
                if watch.ends_within(Duration::from_millis(20)).is_some() {
                    return None;
                }
            }
        }
        Some(running.address())
    }

    fn outport(&self) -> Outport {
        let mut manifest = APP.to_owned();
        if self.hostile.is_some() {
            manifest.push_str(HOSTILE);
            manifest.push_str(self.files_line);
        }
        manifest.push_str(&self.manifest);
        let mut outport = Outport::up(&manifest)
            .options(["--workers=1", "--max-memory=64M", "--grace=1s"])
            .option(format!("--max-memory-total={}", self.total))
            .options(&self.options);
        for (name, content) in &self.files {
            outport = outport.file(name, content);
        }
        if let Some(hostile) = &self.hostile {
            outport = outport.file("hostile.wasm", hostile.build());
        }
        if let Some(number) = self.descriptors {
            outport = outport.descriptors(number);
        }
        if !self.stdout_is_read {
            outport = outport.unread_stdout();
        }
        outport
    }

    /// What does not hold.
    fn complaints(&self, seen: &Seen) -> Vec<String> {
        if seen.refused {
            let words = self.refusal.unwrap_or_default();
            let named = words.iter().any(|word| seen.stderr.contains(word));
            let complaint = format!("refused, but not for one of {words:?}: {}", seen.stderr);
            return if named { Vec::new() } else { vec![complaint] };
        }
        let mut complaints = Vec::new();
        let (calm, under) = (seen.calm.median(), seen.under.median());
        if let Some(failure) = seen.calm.failed.first() {
            complaints.push(format!("hello fails when calm: {failure}"));
        }
        if let Some(failure) = seen.under.failed.first() {
            complaints.push(format!(
                "hello fails {} times: {failure}",
                seen.under.failed.len()
            ));
        }
        if under > bearable(calm) {
            complaints.push(format!("hello's median is {under:.1?} instead of {calm:.1?}"));
        }
        if seen.under.worst() > WORST {
            complaints.push(format!("hello waits {:.1?}", seen.under.worst()));
        }
        if seen.peak > self.total + BESIDE_GUESTS {
            complaints.push(format!("{} MiB resident", seen.peak >> 20));
        }
        if !seen.ended {
            complaints.push("does not end after SIGTERM and its grace".to_owned());
        }
        complaints.extend(seen.complaints.iter().cloned());
        complaints.extend(self.checks.iter().filter_map(|check| check(seen)));
        complaints
    }
}

impl Scene<'_> {
    /// The row is over: whoever attacks goes home.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Something is not as it should be.
    pub(crate) fn complain(&self, complaint: impl Into<String>) {
        let complaints = self.complaints.lock();
        complaints
            .unwrap_or_else(PoisonError::into_inner)
            .push(complaint.into());
    }

    /// Waits until the row is over.
    pub(crate) fn wait(&self) {
        while !self.is_over() {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// One request after the other to the hostile component.
    pub(crate) fn ask_again_and_again(&self) {
        while !self.is_over() {
            self.ask();
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// One request to the hostile component, whose answer is read to its end.
    pub(crate) fn ask(&self) {
        let Ok(mut stream) = TcpStream::connect_timeout(&self.server, Duration::from_secs(2)) else {
            return;
        };
        let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
        let _ = stream.write_all(b"GET /hostile HTTP/1.1\r\nHost: hostile\r\nConnection: close\r\n\r\n");
        let mut buffer = vec![0; 64 * 1024];
        while !self.is_over() {
            match stream.read(&mut buffer) {
                Ok(1..) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                Ok(0) | Err(_) => {
                    self.answers.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
        }
    }
}

/// Ends an attack even if the one who looks on panics.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn most_descriptors(watch: Watch, ended: &AtomicBool) -> usize {
    let mut most = 0;
    while !ended.load(Ordering::SeqCst) {
        most = most.max(watch.descriptors());
        thread::sleep(Duration::from_millis(20));
    }
    most
}

/// The slowest median of the neighbour that is borne. Exact only where the build and the machine are: a release build
/// with nothing beside it, and `OUTPORT_ISOLATION_STRICT=1`.
fn bearable(calm: Duration) -> Duration {
    if env::var("OUTPORT_ISOLATION_STRICT").as_deref() == Ok("1") {
        calm * 2
    } else {
        calm * 10 + Duration::from_millis(30)
    }
}

/// Plays the rows one after the other and prints them.
///
/// # Panics
///
/// If one is not as it should be; when all are played.
pub(crate) fn play(rows: Vec<Row>) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let only = env::var("OUTPORT_ISOLATION").ok();
    let mut failed = String::new();
    for row in rows {
        if only
            .as_ref()
            .is_some_and(|only| !row.name.contains(only.as_str()))
        {
            continue;
        }
        let seen = catch_unwind(AssertUnwindSafe(|| row.play()));
        let (seen, complaints) = match seen {
            Ok(seen) => {
                let complaints = row.complaints(&seen);
                (seen, complaints)
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                (Seen::default(), vec![text])
            }
        };
        print(&row, &seen, &complaints);
        if only.is_some() {
            println!("    {} hostile requests ended", seen.answers);
            seen.stderr
                .lines()
                .skip_while(|line| !line.starts_with("Serving"))
                .for_each(|line| println!("    | {line:.300}"));
        }
        for complaint in &complaints {
            let _ = writeln!(failed, "{} {}: {complaint}", row.clause, row.name);
        }
        if !complaints.is_empty() {
            let end: Vec<_> = seen.stderr.lines().rev().take(3).collect();
            for line in end.iter().rev() {
                let _ = writeln!(failed, "    | {line:.300}");
            }
        }
    }
    assert!(failed.is_empty(), "not as it should be:\n{failed}");
}

/// Runs a test that is no table row, with nothing beside it, unless only rows of other names are wanted.
pub(crate) fn alone(name: &str, test: impl FnOnce()) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if env::var("OUTPORT_ISOLATION").map_or(true, |only| name.contains(&only)) {
        test();
    }
}

/// Medians mean something only while nothing else is measured.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn print(row: &Row, seen: &Seen, complaints: &[String]) {
    let verdict = match complaints {
        [] if seen.refused => "refused at start".to_owned(),
        [] => "holds".to_owned(),
        [first, rest @ ..] => {
            let more = if rest.is_empty() {
                String::new()
            } else {
                format!(" (and {} more)", rest.len())
            };
            format!("BROKEN: {:.80}{more}", first.lines().next().unwrap_or_default())
        }
    };
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{:34} {:6} hello {:>4}/{:<4} median {:>6.1} -> {:>6.1} ms, worst {:>6.0}  {:>5} MiB {:>5} fd {:>5.1} s cpu  {verdict}",
        row.name,
        row.clause,
        seen.under.succeeded(),
        seen.under.total(),
        ms(seen.calm.median()),
        ms(seen.under.median()),
        ms(seen.under.worst()),
        seen.peak >> 20,
        seen.descriptors,
        seen.processor.as_secs_f64(),
    );
}

const APP: &str = r#"
spin_manifest_version = 2
[application]
name = "isolation"

[[trigger.http]]
route = "/hello"
component = "hello"

[component.hello]
source = "GUESTS/hello.wasm"
"#;

const HOSTILE: &str = r#"
[[trigger.http]]
route = "/hostile/..."
component = "hostile"

[component.hostile]
source = "hostile.wasm"
allowed_outbound_hosts = ["*://127.0.0.1:1024-65535", "*://localhost:1024-65535", "*://*.test:*"]
"#;

/// What the server has for itself, beside what guests may have.
const BESIDE_GUESTS: u64 = 150 << 20;

const GRACE: Duration = Duration::from_secs(1);

/// What ending may take on a busy machine, after the grace.
const MORE_THAN_GRACE: Duration = Duration::from_secs(3);

/// The longest that one request to the neighbour may take, however busy the machine.
const WORST: Duration = Duration::from_secs(2);
