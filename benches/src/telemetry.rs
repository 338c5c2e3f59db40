//! What it costs that an operator's tools see an app: a hello with everything off, and with one thing on at a time.

use std::fs;
use std::net::SocketAddr;

use crate::contestants::Programs;
use crate::http_client::HttpClient;
use crate::load::wrk;
use crate::samples::Unit;
use crate::server::{Server, free_address};
use crate::table::Table;

/// Column names; the first is what the others are compared with.
pub(crate) const OFF: &str = "all off";
pub(crate) const METRICS: &str = "metrics";
pub(crate) const ACCESS_LOG: &str = "access log";
pub(crate) const FEW_TRACES: &str = "traces of 1 %";
pub(crate) const ALL_TRACES: &str = "traces of all";

/// Requests a second at 16 connections; the columns have it.
pub(crate) const REQUESTS: &str = "16 connections";
/// Processor time of the server's process for one of them.
pub(crate) const PROCESSOR: &str = "processor time of a request";

/// A hello at 16 connections, and what a scrape takes.
pub(crate) fn telemetry(programs: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("telemetry", "What telemetry costs", OFF);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("access.log").display().to_string();
    // It takes whatever is posted to it.
    let collector = Server::native(programs);
    let admin = free_address();
    let listen = format!("--admin-listen={admin}");
    let endpoint = format!("http://{}", collector.address);
    let exporting = |share: &'static str| {
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", share),
        ]
    };
    let server = |name, options: &[&str], variables: &[(&str, &str)]| {
        Server::outport_with(name, programs, "hello", options, variables)
    };
    let servers = [
        server(OFF, &[], &[]),
        server(METRICS, &[&listen], &[]),
        server(ACCESS_LOG, &["--access-log", &log], &[]),
        server(FEW_TRACES, &[], &exporting("0.01")),
        server(ALL_TRACES, &[], &exporting("1")),
    ];
    for server in &servers {
        wrk(&hello(server), 16, 1);
    }
    let mut scraper = HttpClient::connect(admin);
    for _ in 0..repetitions {
        for server in &servers {
            measure(server, &mut table);
        }
        let scrape = scraper.get("/metrics").as_secs_f64() * 1e3;
        table.add("a scrape", Unit::Milliseconds, METRICS, scrape);
    }
    table
}

fn measure(server: &Server, table: &mut Table) {
    let before = processor_time(server.id());
    let load = wrk(&hello(server), 16, SECONDS);
    let spent = processor_time(server.id()) - before;
    load.note(table, server.name, 16);
    let requests = load.per_second * f64::from(SECONDS);
    table.add(PROCESSOR, Unit::Microseconds, server.name, spent * 1e6 / requests);
}

fn hello(server: &Server) -> String {
    let address: SocketAddr = server.address;
    format!("http://{address}/hello")
}

/// Processor time is counted in hundredths of a second, so that one second of load would be coarse.
const SECONDS: u32 = 3;

/// Seconds that all threads of a process have spent, of their own and in the kernel (proc_pid_stat(5), `utime` and
/// `stime`).
fn processor_time(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name in brackets may have anything in it.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / rustix::param::clock_ticks_per_second() as f64
}
