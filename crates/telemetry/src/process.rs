//! The metrics of the process itself, which are looked up when somebody collects them.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::Unit;
use outport_egress::meter::{MetricDescription, MetricKind};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::access_log::LINES;
use crate::registry::Registry;

/// What was dropped: what a collector did not take, and series beyond the bound of a metric.
pub const DROPPED: MetricDescription = MetricDescription {
    name: "outport_telemetry_dropped_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["signal"],
    help: "What was dropped since nobody took it, by signal: `traces`, `metrics`, `logs`, and `series` of metrics beyond the bound",
};

/// The settings that were read again.
pub const RELOADS: MetricDescription = MetricDescription {
    name: "outport_reloads_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["outcome"],
    help: "Times that the operator's settings, or the certificates of HTTPS, were read again, by outcome: `loaded`, or `refused` \
           where the old ones stay",
};

/// What runs.
pub const BUILD_INFO: MetricDescription = MetricDescription {
    name: "outport_build_info",
    kind: MetricKind::Gauge,
    unit: None,
    labels: &["version"],
    help: "Always 1; the label says which version of Outport runs",
};

/// Processor time.
pub const CPU_SECONDS: MetricDescription = MetricDescription {
    name: "process_cpu_seconds_total",
    kind: MetricKind::Time,
    unit: Some(Unit::Seconds),
    labels: &[],
    help: "Processor time of the process, user and system, in seconds",
};

/// Memory.
pub const RESIDENT_MEMORY: MetricDescription = MetricDescription {
    name: "process_resident_memory_bytes",
    kind: MetricKind::Gauge,
    unit: Some(Unit::Bytes),
    labels: &[],
    help: "Resident memory of the process, in bytes",
};

/// When it began.
pub const START_TIME: MetricDescription = MetricDescription {
    name: "process_start_time_seconds",
    kind: MetricKind::Gauge,
    unit: Some(Unit::Seconds),
    labels: &[],
    help: "The start of the process, in seconds since 1970",
};

/// Open files.
pub const OPEN_FDS: MetricDescription = MetricDescription {
    name: "process_open_fds",
    kind: MetricKind::Gauge,
    unit: None,
    labels: &[],
    help: "Descriptors that the process has open: files, connections and others",
};

/// The bound on open files.
pub const MAX_FDS: MetricDescription = MetricDescription {
    name: "process_max_fds",
    kind: MetricKind::Gauge,
    unit: None,
    labels: &[],
    help: "Descriptors that the process may have open",
};

/// All of them.
pub const METRICS: &[MetricDescription] = &[
    DROPPED,
    LINES,
    RELOADS,
    BUILD_INFO,
    CPU_SECONDS,
    RESIDENT_MEMORY,
    START_TIME,
    OPEN_FDS,
    MAX_FDS,
];

/// Has the registry tell of this process. `version` is that of the program.
pub fn collect(registry: &Arc<Registry>, version: &'static str) {
    let meter = registry.meter();
    meter.gauge(&BUILD_INFO, [version.into()]).set(1.0);
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    meter.gauge(&START_TIME, []).set(started.as_secs_f64());
    let (cpu, memory) = (meter.counter(&CPU_SECONDS, []), meter.gauge(&RESIDENT_MEMORY, []));
    let (open, most) = (meter.gauge(&OPEN_FDS, []), meter.gauge(&MAX_FDS, []));
    registry.on_collect(move || {
        cpu.absolute(u64::try_from(processor_time().as_nanos()).unwrap_or(u64::MAX));
        if let Some(bytes) = resident_memory() {
            memory.set(bytes as f64);
        }
        if let Some(descriptors) = open_descriptors() {
            open.set(descriptors as f64);
        }
        let limit = getrlimit(Resource::Nofile).current;
        most.set(limit.map_or(f64::INFINITY, |limit| limit as f64));
    });
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// Bytes, where the system says it: the second field of `statm` (proc_pid_statm(5)) is in pages.
fn resident_memory() -> Option<u64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn open_descriptors() -> Option<u64> {
    let names = fs::read_dir("/proc/self/fd").ok()?;
    // The directory is open meanwhile.
    Some((names.count() as u64).saturating_sub(1))
}
