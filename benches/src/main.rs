//! Measures Outport, the wasmtime CLI, Deno and native programs side by side, and writes `docs/performance.md`.
//!
//! ```text
//! repetition 1:  native ─ Outport ─ Outport, 0.3 ─ wasmtime ─ wasmtime, 0.3 ─ Deno
//! repetition 2:  native ─ Outport ─ …
//! ```
//!
//! The contestants take turns within each repetition, so that whatever else the machine does meets all of them alike,
//! and what is compared is what was measured within a minute of each other. Each runs in processes of its own. The
//! other ends of all connections are native servers in this process, or, where a contestant is a server, `wrk`.
//!
//! Pods (`outport-bench pods`) are measured apart from that, since they take a containerd and root.
//!
//! This program is also the native client (`outport-bench client`) and the native server (`outport-bench serve`), and
//! counts instructions (`outport-bench count`).

mod callgrind;
mod check;
mod contestants;
mod decision;
mod fairness;
mod http_client;
mod hyper_alone;
mod instructions;
mod load;
mod memory;
mod native;
mod page;
mod peers;
mod picture;
mod platform;
mod pods;
mod record;
mod samples;
mod server;
mod sockets;
mod start;
mod table;
mod targets;
mod telemetry;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use contestants::Programs;
use page::Page;
use table::Table;

/// What can be measured: a name, what it is about, and what does it.
type Workload = (&'static str, &'static str, fn(&Programs, usize) -> Table);

const WORKLOADS: [Workload; 14] = [
    (
        "tcp",
        "connecting, round trips, upload and download from a guest",
        sockets::quiet,
    ),
    (
        "busy",
        "round trips while a processor is kept busy",
        sockets::busy,
    ),
    ("udp", "round trips of datagrams from a guest", sockets::datagrams),
    (
        "look-up",
        "looking a name up whose answer is still good",
        sockets::lookup,
    ),
    (
        "entries",
        "connecting with one entry and with 100,000",
        sockets::entries,
    ),
    (
        "http",
        "a hello over HTTP at 1, 16 and 256 connections",
        load::hello,
    ),
    (
        "upstream",
        "a guest that fetches over HTTP for each request",
        load::upstream,
    ),
    (
        "fairness",
        "a request beside a guest that computes, and slow connections",
        fairness::fairness,
    ),
    (
        "start",
        "from the command to the guest's first output",
        start::start,
    ),
    (
        "memory",
        "idle processes, instances and connections",
        memory::memory,
    ),
    (
        "platform",
        "asking stores and servers that the host has for guests",
        platform::platform,
    ),
    (
        "telemetry",
        "a hello with metrics, an access log and traces, and without",
        telemetry::telemetry,
    ),
    ("check", "`check` of 10,000 entries under 10,000", check::check),
    (
        "decision",
        "one decision, by the number of entries",
        decision::decision,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["client", ..] => finish(native::run(&arguments[1..]).map(|lines| say(&lines))),
        ["serve", address] => match address.parse() {
            Ok(address) => finish(hyper_alone::serve(address)),
            Err(_) => usage(),
        },
        ["count", "--outport", program, "--cache", cache] => {
            instructions::count(Path::new(program), Path::new(cache), say);
            ExitCode::SUCCESS
        }
        ["pods", ref options @ ..] => match pods::Extent::read(options) {
            Some(extent) => finish(pods::measure(extent, &docs())),
            None => usage(),
        },
        ["first-answers"] => finish(pods::answer_each()),
        ["--help" | "-h"] => usage(),
        _ => match measurement(&arguments) {
            Some(wanted) => measure(&wanted),
            None => usage(),
        },
    }
}

struct Measurement {
    programs: Programs,
    workloads: Vec<Workload>,
    repetitions: usize,
}

fn measurement(arguments: &[String]) -> Option<Measurement> {
    let mut outport = None;
    let mut wasmtime = None;
    let mut deno = None;
    let mut repetitions = 7;
    let mut workloads = Vec::new();
    let mut left = arguments.iter();
    while let Some(argument) = left.next() {
        match argument.as_str() {
            "--outport" => outport = Some(PathBuf::from(left.next()?)),
            "--wasmtime" => wasmtime = Some(PathBuf::from(left.next()?)),
            "--deno" => deno = Some(PathBuf::from(left.next()?)),
            "--repetitions" => repetitions = left.next()?.parse().ok()?,
            name => workloads.push(*WORKLOADS.iter().find(|(own, ..)| *own == name)?),
        }
    }
    let programs = Programs {
        outport: outport?,
        wasmtime,
        deno,
        native: env::current_exe().ok()?,
    };
    if workloads.is_empty() {
        workloads = WORKLOADS.to_vec();
    }
    Some(Measurement {
        programs,
        workloads,
        repetitions,
    })
}

fn measure(wanted: &Measurement) -> ExitCode {
    let page = Page::in_folder(&docs());
    for (name, about, workload) in &wanted.workloads {
        eprintln!("{name}: {about}");
        let table = workload(&wanted.programs, wanted.repetitions);
        eprintln!("{}", table.markdown());
        if let Err(error) = page.show(&table) {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn docs() -> PathBuf {
    let benches = Path::new(env!("CARGO_MANIFEST_DIR"));
    benches.join("../docs")
}

#[allow(
    clippy::print_stdout,
    reason = "the results of the native client are read from there"
)]
fn say(lines: &str) {
    print!("{lines}");
}

fn finish(result: std::io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!(
        "usage: outport-bench --outport PROGRAM [--wasmtime PROGRAM] [--deno PROGRAM] [--repetitions N] [WORKLOAD]…"
    );
    eprintln!("       outport-bench pods [--starts N] [--pods N] [--repetitions N]");
    for (name, about, _) in WORKLOADS {
        eprintln!("  {name:10} {about}");
    }
    ExitCode::from(2)
}
