//! What Outport is to reach, held against what was measured last. The table is made anew with every run, so it says
//! nothing that the tables below it do not.

use std::fmt::Write as _;
use std::path::Path;

use crate::contestants::{NATIVE, OUTPORT, OUTPORT_P3, WASMTIME, WASMTIME_P3};
use crate::platform::{KEY_VALUE_GET, KEY_VALUE_READ, KEY_VALUE_SET, POSTGRES, REDIS, WITHOUT};
use crate::record::Record;
use crate::samples::{Samples, number};
use crate::telemetry::{ALL_TRACES, FEW_TRACES, METRICS, OFF, PROCESSOR, REQUESTS};

/// One quantity and its bound.
struct Target {
    what: &'static str,
    workload: &'static str,
    row: &'static str,
    of: &'static str,
    /// What the bound is about.
    measure: Measure,
    bound: Bound,
}

/// A number made of samples.
#[derive(Clone, Copy)]
enum Measure {
    /// Its median, in a unit.
    Itself(&'static str),
    /// The median of the ratios to another contestant.
    Times(&'static str),
    /// The median of what it takes more than another contestant, in a unit.
    Above(&'static str, &'static str),
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

use Bound::{AtLeast, AtMost};
use Measure::{Above, Itself, Times};

const RTT: &str = "round trip of 64 bytes";

#[rustfmt::skip]
const TARGETS: [Target; 36] = [
    Target::new("TCP round trip, quiet", "tcp", RTT, OUTPORT, Times(NATIVE), AtMost(1.15)),
    Target::new("… on WASI 0.3", "tcp", RTT, OUTPORT_P3, Times(NATIVE), AtMost(1.15)),
    Target::new("TCP round trip, one processor busy", "busy", RTT, OUTPORT, Times(NATIVE), AtMost(1.3)),
    Target::new("… on WASI 0.3", "busy", RTT, OUTPORT_P3, Times(NATIVE), AtMost(1.3)),
    Target::new("upload", "tcp", "upload", OUTPORT, Times(NATIVE), AtLeast(0.9)),
    Target::new("… on WASI 0.3", "tcp", "upload", OUTPORT_P3, Times(NATIVE), AtLeast(0.9)),
    Target::new("download", "tcp", "download", OUTPORT, Times(NATIVE), AtLeast(0.9)),
    Target::new("… on WASI 0.3", "tcp", "download", OUTPORT_P3, Times(NATIVE), AtLeast(0.9)),
    Target::new("connecting", "tcp", "connect", OUTPORT, Times(NATIVE), AtMost(1.6)),
    Target::new("… on WASI 0.3", "tcp", "connect", OUTPORT_P3, Times(NATIVE), AtMost(1.6)),
    Target::new("connecting with 100,000 entries", "entries", "connect", "100,000 entries", Times("1 entry"), AtMost(1.02)),
    Target::new("HTTP hello, 16 connections, requests", "http", "16 connections", OUTPORT, Times(WASMTIME), AtLeast(2.0)),
    Target::new("… p99", "http", "16 connections, p99", OUTPORT, Times(WASMTIME), AtMost(1.0)),
    Target::new("HTTP hello, 256 connections, requests", "http", "256 connections", OUTPORT, Times(WASMTIME), AtLeast(2.0)),
    Target::new("… p99", "http", "256 connections, p99", OUTPORT, Times(WASMTIME), AtMost(1.0)),
    Target::new("HTTP hello of 0.3, 16 connections, requests", "http", "16 connections", OUTPORT_P3, Times(WASMTIME_P3), AtLeast(1.5)),
    Target::new("HTTP hello of 0.3, 256 connections, requests", "http", "256 connections", OUTPORT_P3, Times(WASMTIME_P3), AtLeast(1.5)),
    Target::new("a request on one connection", "http", "1 connection, p50", OUTPORT, Above(NATIVE, "µs"), AtMost(50.0)),
    Target::new("second start of CPython, 18 MB", "start", "CPython, 18 MB, warm", OUTPORT, Times(WASMTIME), AtMost(0.2)),
    Target::new("a decision by network, 10 entries", "decision", "connect, by a network", "10 entries", Itself("ns"), AtMost(60.0)),
    Target::new("… 100,000 entries", "decision", "connect, by a network", "100,000 entries", Itself("ns"), AtMost(200.0)),
    Target::new("a decision by grant, 10 entries", "decision", "connect, by a grant", "10 entries", Itself("ns"), AtMost(60.0)),
    Target::new("… 100,000 entries", "decision", "connect, by a grant", "100,000 entries", Itself("ns"), AtMost(200.0)),
    Target::new("a denial, 10 entries", "decision", "connect, denied", "10 entries", Itself("ns"), AtMost(60.0)),
    Target::new("… 100,000 entries", "decision", "connect, denied", "100,000 entries", Itself("ns"), AtMost(200.0)),
    Target::new("each idle connection that a guest holds", "memory", "each connection of a guest", OUTPORT, Itself("KiB"), AtMost(12.0)),
    Target::new("idle `up` of the quickstart", "memory", "`up` of the quickstart, idle", OUTPORT, Itself("MiB"), AtMost(30.0)),
    Target::new("HTTP hello with metrics, requests", "telemetry", REQUESTS, METRICS, Times(OFF), AtLeast(0.98)),
    Target::new("… with traces of 1 %", "telemetry", REQUESTS, FEW_TRACES, Times(OFF), AtLeast(0.97)),
    Target::new("… with traces of all", "telemetry", REQUESTS, ALL_TRACES, Times(OFF), AtLeast(0.8)),
    Target::new("processor time of a request with traces of all", "telemetry", PROCESSOR, ALL_TRACES, Times(OFF), AtMost(1.2)),
    Target::new("Redis `get`, 16 guests", "platform", REDIS, OUTPORT_P3, Times(NATIVE), AtLeast(0.8)),
    Target::new("PostgreSQL `select` of one row, 16 guests", "platform", POSTGRES, OUTPORT_P3, Times(NATIVE), AtLeast(0.8)),
    Target::new("key-value `get` on a file", "platform", KEY_VALUE_GET, OUTPORT_P3, Times(NATIVE), AtLeast(0.8)),
    Target::new("key-value `set` on a file", "platform", KEY_VALUE_SET, OUTPORT_P3, Times(NATIVE), AtLeast(0.9)),
    Target::new("a request that opens a store and reads a key", "platform", KEY_VALUE_READ, OUTPORT_P3, Above(WITHOUT, "µs"), AtMost(60.0)),
];

impl Target {
    const fn new(
        what: &'static str,
        workload: &'static str,
        row: &'static str,
        of: &'static str,
        measure: Measure,
        bound: Bound,
    ) -> Self {
        Self {
            what,
            workload,
            row,
            of,
            measure,
            bound,
        }
    }

    /// NaN where it was not measured.
    fn measured(&self, folder: &Path) -> f64 {
        let record = Record::read(folder, self.workload);
        let samples = |contestant| record.get(self.row, contestant).cloned().unwrap_or_default();
        let own: Samples = samples(self.of);
        match self.measure {
            Itself(_) => own.median(),
            Times(base) => own.ratios_to(&samples(base)).median(),
            Above(base, _) => own.above(&samples(base)).median(),
        }
    }

    fn line(&self, measured: f64) -> String {
        let met = match self.bound {
            _ if measured.is_nan() => "not measured",
            AtMost(most) if measured <= most => "yes",
            AtLeast(least) if measured >= least => "yes",
            _ => "**no**",
        };
        let (bound, value) = match self.bound {
            AtMost(most) => ("≤", most),
            AtLeast(least) => ("≥", least),
        };
        let (unit, against) = match self.measure {
            Itself(unit) => (format!(" {unit}"), String::new()),
            Times(base) => (" ×".to_owned(), base.to_owned()),
            Above(base, unit) => (format!(" {unit}"), format!("above {base}")),
        };
        let measured = number(measured);
        format!(
            "| {} | {against} | {bound} {value}{unit} | {measured}{unit} | {met} |\n",
            self.what
        )
    }
}

/// The table for the page, from the records in `folder`.
pub(crate) fn markdown(folder: &Path) -> String {
    let mut text = "| | against | target | measured | met |\n| --- | --- | ---: | ---: | --- |\n".to_owned();
    for target in &TARGETS {
        let _ = write!(text, "{}", target.line(target.measured(folder)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Unit;

    #[test]
    fn a_target_is_met_by_the_median_of_the_ratios() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = Record::default();
        record.add("connect", Unit::Microseconds, NATIVE, "10 20 10".parse().unwrap());
        record.add(
            "connect",
            Unit::Microseconds,
            OUTPORT,
            "15 32 17".parse().unwrap(),
        );
        record.write(folder.path(), "tcp").unwrap();
        for (measure, bound, line) in [
            (
                Times(NATIVE),
                AtMost(1.6),
                "| it | native | ≤ 1.6 × | 1.60 × | yes |\n",
            ),
            (
                Times(NATIVE),
                AtLeast(1.61),
                "| it | native | ≥ 1.61 × | 1.60 × | **no** |\n",
            ),
            (
                Above(NATIVE, "µs"),
                AtMost(6.0),
                "| it | above native | ≤ 6 µs | 7.00 µs | **no** |\n",
            ),
            (
                Itself("µs"),
                AtMost(17.0),
                "| it |  | ≤ 17 µs | 17.0 µs | yes |\n",
            ),
            (
                Times(WASMTIME),
                AtMost(1.0),
                "| it | wasmtime | ≤ 1 × | – × | not measured |\n",
            ),
        ] {
            let target = Target::new("it", "tcp", "connect", OUTPORT, measure, bound);
            assert_eq!(target.line(target.measured(folder.path())), line);
        }
    }
}
