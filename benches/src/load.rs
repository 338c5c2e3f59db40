//! What HTTP servers do under load, by `wrk`, with as many threads as there are processors.

use std::io::Write;
use std::process::Command;

use crate::contestants::{NATIVE, Programs};
use crate::samples::Unit;
use crate::server::Server;
use crate::table::Table;

/// A hello at 1, 16 and 256 connections.
pub(crate) fn hello(programs: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("http", "HTTP hello", "wasmtime");
    let servers = Server::everybody(programs, "hello", "hello-p3", &[]);
    for server in &servers {
        wrk(&format!("http://{}/hello", server.address), 16, 1);
    }
    for _ in 0..repetitions {
        for connections in [1, 16, 256] {
            for server in &servers {
                let load = wrk(&format!("http://{}/hello", server.address), connections, 1);
                load.note(&mut table, server.name, connections);
            }
        }
    }
    table
}

/// A guest that answers with what it fetched from the native server.
pub(crate) fn upstream(programs: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("upstream", "HTTP that fetches upstream", "wasmtime");
    let origin = Server::native(programs);
    let allow = format!("--allowed-outbound-hosts=http://{}", origin.address);
    let servers = Server::everybody(programs, "http-script-guest", "http-script-guest-p3", &[&allow]);
    let url = format!("http://{}/", origin.address);
    for server in &servers {
        wrk(&server.fetching(&url), 16, 1);
    }
    for _ in 0..repetitions {
        for server in servers.iter().filter(|server| server.name != NATIVE) {
            let load = wrk(&server.fetching(&url), 16, 1);
            load.note(&mut table, server.name, 16);
        }
    }
    table
}

/// What `wrk` saw.
pub(crate) struct Load {
    pub(crate) per_second: f64,
    /// Microseconds in which half of the requests, 99 % and 99.9 % had their answer.
    percentiles: [f64; 3],
}

impl Load {
    pub(crate) fn note(&self, table: &mut Table, name: &'static str, connections: u32) {
        let many = match connections {
            1 => "1 connection".to_owned(),
            n => format!("{n} connections"),
        };
        table.add(&many, Unit::PerSecond, name, self.per_second);
        for (percentile, time) in ["p50", "p99", "p99.9"].iter().zip(self.percentiles) {
            table.add(&format!("{many}, {percentile}"), Unit::Microseconds, name, time);
        }
    }
}

pub(crate) fn wrk(url: &str, connections: u32, seconds: u32) -> Load {
    let mut script = tempfile::NamedTempFile::with_suffix(".lua").expect("a temporary file");
    script.write_all(SCRIPT.as_bytes()).expect("a file of our own");
    let threads = connections.min(2);
    let output = Command::new("wrk")
        .args([
            format!("-t{threads}"),
            format!("-c{connections}"),
            format!("-d{seconds}s"),
            "-s".to_owned(),
        ])
        .arg(script.path())
        .arg(url)
        .output()
        .unwrap_or_else(|error| panic!("wrk, which the Debian package of that name brings: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<f64> = text
        .lines()
        .find_map(|line| line.strip_prefix("measured "))
        .map(|line| line.split(' ').filter_map(|number| number.parse().ok()).collect())
        .unwrap_or_default();
    match numbers[..] {
        [per_second, p50, p99, p999, 0.0] => Load {
            per_second,
            percentiles: [p50, p99, p999],
        },
        _ => panic!("{url} answers with errors:\n{text}"),
    }
}

/// Requests a second, three percentiles in microseconds, and how many answers were no success.
const SCRIPT: &str = r#"
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("measured %f %f %f %f %d\n", summary.requests / summary.duration * 1e6,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"#;
