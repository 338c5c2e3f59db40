//! How many pods of a hello fit on a node, and how long one takes to its first answer: on the node of the tests, which is a
//! containerd of its own, asked over CRI as a kubelet asks.
//!
//! ```text
//! starts   native ─ Outport ─ Outport, code kept, in turn: a pod's sandbox, its container, the first 200, and all is removed
//! memory   nothing but sandboxes ─ native ─ Outport ─ …: 50 pods, one beside the other, looked at after every tenth
//! ```
//!
//! What a pod takes is the slope through these looks and not a pod times fifty: what all of them share (the file of the
//! program, the first page of everything) is in the first ones and in no slope. The node's containerd, runc and shims are
//! those of the system; programs are static release builds.

mod answers;
mod report;
mod used;

// What the tests are made of: a node, its pods and images, and the client that asks for them.
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/tests/containers/cri.rs"]
mod cri;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/tests/containers/images.rs"]
mod images;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/tests/containers/node.rs"]
mod node;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/tests/containers/pod.rs"]
mod pod;

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use outport_e2e::static_outport::{static_outport, static_program};

use self::answers::Answers;
pub(crate) use self::answers::answer_each;
use self::images::Image;
use self::node::{HANDLER, Node};
use self::pod::{Pod, Wanted};
use self::report::Report;
use self::used::Used;
use crate::page::Page;

/// The program of the image, by runc alone.
const NATIVE: &str = "native, runc";
/// Each start compiles: the cache of a container begins empty.
const OUTPORT: &str = "Outport";
/// With a directory of compiled code that the container can read.
const KEPT: &str = "Outport, code kept";
/// A pod's sandbox and no container.
const SANDBOX: &str = "nothing";

/// After how many more pods memory is looked at.
const EVERY: usize = 10;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Starts of each contestant.
    starts: usize,
    /// Pods beside each other.
    pods: usize,
    /// How often they are put there.
    repetitions: usize,
}

impl Extent {
    /// Of options as in `--starts 50`; none where they cannot be read, or where there would be no slope.
    pub(crate) fn read(arguments: &[&str]) -> Option<Self> {
        let mut extent = Self {
            starts: 100,
            pods: 50,
            repetitions: 3,
        };
        for option in arguments.chunks(2) {
            let [name, value] = option else { return None };
            let value = value.parse().ok().filter(|value| *value > 0)?;
            match *name {
                "--starts" => extent.starts = value,
                "--pods" => extent.pods = value,
                "--repetitions" => extent.repetitions = value,
                _ => return None,
            }
        }
        (extent.pods >= 2 * EVERY).then_some(extent)
    }
}

/// A pod in the making.
struct Contestant {
    name: &'static str,
    handler: &'static str,
    container: Option<Wanted>,
}

/// Measures, and writes the table into `docs/cluster.md`.
pub(crate) fn measure(extent: Extent, docs: &Path) -> io::Result<()> {
    let Some(node) = Node::shared() else {
        return Err(io::Error::other("there can be no containerd here"));
    };
    let contestants = contestants(node)?;
    let mut report = Report::of_pods(extent.pods);
    say_load();
    time_starts(node, &contestants, extent.starts, &mut report)?;
    weigh(node, &contestants, extent, &mut report)?;
    say_load();
    eprintln!("{}", report.markdown());
    report.record().write(&docs.join("performance"), "pods")?;
    Page::in_folder(docs).put_into("cluster.md", "pods", &report.markdown())
}

fn contestants(node: &Node) -> io::Result<[Contestant; 4]> {
    let manifest = "spin_manifest_version = 2\napplication.name = \"hello\"\n[[trigger.http]]\nroute = \"/...\"\n\
                    component = \"web\"\n[component.web]\nsource = \"hello.wasm\"\n";
    let native = Image::new("native")
        .program(
            "hello",
            fs::read(static_program("outport-bench", "hello-server"))?,
        )
        .entrypoint(&["/hello", "0.0.0.0:80"]);
    node.import("hello", &[native, Image::app("hello", manifest, "hello")]);
    let kept = node.path("kept");
    keep_code(node, &kept, manifest)?;
    let app = || Wanted::image("hello");
    let contestant = |name, handler, container| Contestant {
        name,
        handler,
        container,
    };
    Ok([
        contestant(SANDBOX, "runc", None),
        contestant(NATIVE, "runc", Some(Wanted::image("native"))),
        contestant(OUTPORT, HANDLER, Some(app())),
        contestant(
            KEPT,
            HANDLER,
            Some(
                app()
                    .volume(&kept, "/kept")
                    .variable("OUTPORT_CACHE_DIR", "/kept"),
            ),
        ),
    ])
}

/// Has the code of the app compiled into a directory, as an operator would who gives it to pods for reading.
fn keep_code(node: &Node, cache: &Path, manifest: &str) -> io::Result<()> {
    let app = node.path("app");
    fs::create_dir_all(&app)?;
    fs::create_dir_all(cache)?;
    fs::set_permissions(cache, fs::Permissions::from_mode(0o700))?;
    fs::write(app.join("spin.toml"), manifest)?;
    fs::copy(outport_e2e::guest::path("hello"), app.join("hello.wasm"))?;
    let mut outport = Command::new(static_outport())
        .args(["up", "--listen=127.0.0.1:0", "-f"])
        .arg(&app)
        .arg("--cache-dir")
        .arg(cache)
        .stderr(Stdio::piped())
        .spawn()?;
    let said = outport.stderr.take().expect("a piped output");
    let serves = BufReader::new(said)
        .lines()
        .any(|line| line.is_ok_and(|line| line.starts_with("Serving")));
    outport.kill()?;
    outport.wait()?;
    if serves {
        Ok(())
    } else {
        Err(io::Error::other("the app does not run"))
    }
}

fn time_starts(
    node: &Node,
    contestants: &[Contestant],
    starts: usize,
    report: &mut Report,
) -> io::Result<()> {
    let mut answers = Answers::watched_from(node)?;
    // The first of each reads files that the others find in memory.
    for round in 0..=starts {
        // Each is the first of a round as often as another: it meets what the one before left to tidy up.
        let turn = contestants.iter().cycle().skip(round % contestants.len());
        for contestant in turn.take(contestants.len()) {
            let Some(wanted) = contestant.container.clone() else {
                continue;
            };
            let begun = Instant::now();
            let pod = Pod::start(node, contestant.handler);
            let sandbox = begun.elapsed();
            let begun = Instant::now();
            answers.watch(&pod.address)?;
            let container = pod.run(wanted);
            answers
                .came()
                .map_err(|error| io::Error::other(format!("{error}\n{}", container.logs())))?;
            let answer = begun.elapsed();
            if round > 0 {
                report.sandbox(contestant.name, sandbox);
                report.answer(contestant.name, answer);
            }
        }
        if round % 10 == 0 {
            eprintln!("{round} of {starts} starts of each");
        }
    }
    Ok(())
}

fn weigh(node: &Node, contestants: &[Contestant], extent: Extent, report: &mut Report) -> io::Result<()> {
    let mut answers = Answers::watched_from(node)?;
    for repetition in 1..=extent.repetitions {
        for contestant in contestants {
            eprintln!(
                "{} pods, {}: {repetition} of {}",
                extent.pods, contestant.name, extent.repetitions
            );
            let mut looks = Vec::new();
            let mut pods = Vec::new();
            for count in 1..=extent.pods {
                let pod = Pod::start(node, contestant.handler);
                if let Some(wanted) = &contestant.container {
                    answers.watch(&pod.address)?;
                    pod.run(wanted.clone());
                    answers.came()?;
                }
                pods.push(pod);
                if count % EVERY == 0 {
                    looks.push((count, Used::now(node)?));
                }
            }
            report.memory(contestant.name, Used::each(&looks));
        }
    }
    Ok(())
}

/// Whoever reads the numbers should know whether the machine was quiet.
fn say_load() {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    eprintln!("load of the machine, 1, 5 and 15 minutes: {}", load.trim());
}
