//! How a row is run, in a process of its own.
//!
//! ```text
//! up: hello and hostile ─► calm ─► attack ───────────────────► SIGTERM ─► end
//!                          hello   hello, memory, descriptors    (attack goes on)
//! ```

use std::env;
use std::mem;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::outport::{Outport, Running};
use rustix::process::Signal;

use crate::neighbour::Requests;
use crate::row::{Complaint, Row, Seen};
use crate::scene::Scene;
use crate::watch::Watch;

impl Row {
    /// Runs it once.
    pub(crate) fn run(&self) -> Seen {
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
        Requests::times(10, server, watch);
        seen.calm = Requests::times(40, server, watch);
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
            let (begin, others) = (Instant::now(), watch.of_others());
            thread::sleep(Duration::from_millis(150));
            seen.under = Requests::lasting(self.lasts, server, watch);
            let (full, mut peak) = (Instant::now(), 0);
            while self.settles && watch.peak() > peak && full.elapsed() < Duration::from_secs(4) {
                peak = watch.peak() + (1 << 20);
                seen.under
                    .add(Requests::lasting(Duration::from_millis(300), server, watch));
            }
            let late = Instant::now();
            while !self.has_come(&running, &answers) && late.elapsed() < Duration::from_secs(30) {
                seen.under
                    .add(Requests::lasting(Duration::from_millis(200), server, watch));
            }
            let others = watch.of_others().saturating_sub(others);
            seen.is_crowded = others > begin.elapsed() / 4;
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

    /// Whether that has come which the row waits for.
    fn has_come(&self, running: &Running, answers: &AtomicUsize) -> bool {
        let said = self.says.is_none_or(|text| running.stderr().contains(text));
        said && answers.load(Ordering::SeqCst) >= self.least
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
            manifest.push_str(self.lines);
            manifest.push_str(self.files_line);
        }
        manifest.push_str(&self.manifest);
        let mut outport = Outport::up(&manifest)
            .options(["--workers=1", "--max-memory=64M", "--grace=200ms"])
            .option(format!("--max-memory-total={}", self.total))
            .options(&self.options);
        for (name, content) in &self.files {
            outport = outport.file(name, content);
        }
        if let Some(hostile) = &self.hostile {
            outport = outport.file("hostile.wasm", hostile);
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
    pub(crate) fn complaints(&self, seen: &mut Seen) -> Vec<Complaint> {
        if seen.refused {
            let words = self.refusal.unwrap_or_default();
            let named = words.iter().any(|word| seen.stderr.contains(word));
            let complaint = format!("refused, but not for one of {words:?}: {}", seen.stderr);
            return if named {
                Vec::new()
            } else {
                vec![Complaint::Wrong(complaint)]
            };
        }
        let mut complaints = mem::take(&mut seen.complaints);
        let mut late = |complaint: String| complaints.push(Complaint::Late(complaint));
        // Where others had the processor, what was waited for it is not the server's. Where nobody did, it is.
        let under = if seen.is_crowded {
            seen.under.without_others()
        } else {
            seen.under.clone()
        };
        let (calm, median) = (seen.calm.median(), under.median());
        if let Some(failure) = seen.calm.failed.first() {
            late(format!("hello fails when calm: {failure}"));
        }
        if let Some(failure) = seen.under.failed.first() {
            let times = seen.under.failed.len();
            late(format!("hello fails {times} times: {failure}"));
        }
        if median > bearable(calm) {
            late(format!("hello's median is {median:.1?} instead of {calm:.1?}"));
        }
        if under.worst() > WORST {
            late(format!("hello waits {:.1?}", under.worst()));
        }
        if !seen.ended {
            late("does not end after SIGTERM and its grace".to_owned());
        }
        if seen.answers < self.least {
            let (ended, least) = (seen.answers, self.least);
            late(format!("{ended} of {least} hostile requests ended"));
        }
        if let Some(text) = self.says.filter(|text| !seen.stderr.contains(text)) {
            late(format!("standard error says nothing of `{text}`"));
        }
        if seen.peak > self.total + BESIDE_GUESTS {
            complaints.push(Complaint::Wrong(format!("{} MiB resident", seen.peak >> 20)));
        }
        complaints.extend(self.checks.iter().filter_map(|check| check(seen)));
        complaints
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
        // Unoptimised, one record of TLS full of settings takes some 10 ms, and a request has several turns. What was
        // mended took 440 ms and more.
        calm * 10 + Duration::from_millis(150)
    }
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

const GRACE: Duration = Duration::from_millis(200);

/// What ending may take on a busy machine, after the grace.
const MORE_THAN_GRACE: Duration = Duration::from_secs(10);

/// The longest that one request to the neighbour may take, however busy the machine.
const WORST: Duration = Duration::from_secs(2);
