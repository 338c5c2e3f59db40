//! What was measured of pods, as the table of `docs/cluster.md`, and number by number for the file beside
//! `docs/performance.md`.

use std::fmt::Write as _;
use std::time::Duration;

use super::used::Used;
use super::{EVERY, NATIVE, SANDBOX};
use crate::record::Record;
use crate::samples::{Samples, Unit, number};

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// What a node of 2 GiB has for pods, in MiB, where a quarter is left to the system, containerd and a kubelet.
const FOR_PODS: f64 = 1536.0;

#[derive(Debug)]
pub(super) struct Report {
    /// How many were beside each other.
    pods: usize,
    of: Vec<Of>,
}

/// What was measured of one contestant.
#[derive(Debug)]
struct Of {
    name: &'static str,
    sandbox: Samples,
    answer: Samples,
    groups: Samples,
    shims: Samples,
    node: Samples,
}

impl Report {
    /// An empty one.
    pub(super) fn of_pods(pods: usize) -> Self {
        Self { pods, of: Vec::new() }
    }

    /// How long a pod's sandbox took.
    pub(super) fn sandbox(&mut self, name: &'static str, time: Duration) {
        self.of(name).sandbox.add(time.as_secs_f64() * 1e3);
    }

    /// How long it took from asking for the container to its first answer.
    pub(super) fn answer(&mut self, name: &'static str, time: Duration) {
        self.of(name).answer.add(time.as_secs_f64() * 1e3);
    }

    /// What each pod takes.
    pub(super) fn memory(&mut self, name: &'static str, each: Used) {
        let of = self.of(name);
        of.groups.add(each.groups / MEBIBYTE);
        of.shims.add(each.shims / MEBIBYTE);
        of.node.add(each.node / MEBIBYTE);
    }

    fn of(&mut self, name: &'static str) -> &mut Of {
        let at = self.of.iter().position(|of| of.name == name).unwrap_or_else(|| {
            self.of.push(Of {
                name,
                sandbox: Samples::default(),
                answer: Samples::default(),
                groups: Samples::default(),
                shims: Samples::default(),
                node: Samples::default(),
            });
            self.of.len() - 1
        });
        &mut self.of[at]
    }

    pub(super) fn record(&self) -> Record {
        let mut record = Record::default();
        for of in &self.of {
            let times = [("sandbox", &of.sandbox), ("first answer", &of.answer)];
            let memory = [("groups", &of.groups), ("shim", &of.shims), ("node", &of.node)];
            for (row, samples) in times.into_iter().filter(|(_, samples)| samples.count() > 0) {
                record.add(row, Unit::Milliseconds, of.name, samples.clone());
            }
            for (row, samples) in memory {
                record.add(row, Unit::Mebibytes, of.name, samples.clone());
            }
        }
        record
    }

    pub(super) fn markdown(&self) -> String {
        // In the order of the table, which is not that of the measurements.
        let containers: Vec<&Of> = self.of.iter().filter(|of| of.name != SANDBOX).collect();
        let all: Vec<&Of> = self
            .of
            .iter()
            .filter(|of| of.name == SANDBOX)
            .chain(containers.iter().copied())
            .collect();
        let native = containers.iter().find(|of| of.name == NATIVE);
        let starts = containers.iter().map(|of| of.answer.count()).min().unwrap_or(0);
        let rounds = containers.iter().map(|of| of.groups.count()).min().unwrap_or(0);
        let mut text = String::new();
        let names: Vec<&str> = containers.iter().map(|of| of.name).collect();
        let _ = writeln!(text, "| from asking for the container | {} |", names.join(" | "));
        let _ = writeln!(text, "| --- |{}", " ---: |".repeat(names.len()));
        let mut row = |what: &str, of: &[&Of], cell: &dyn Fn(&Of) -> String| {
            let cells: Vec<String> = of.iter().map(|of| cell(of)).collect();
            let _ = writeln!(text, "| {what} | {} |", cells.join(" | "));
        };
        row("to the first answer, median, ms", &containers, &|of| {
            let mut cell = number(of.answer.median());
            if let Some(native) = native.filter(|native| native.name != of.name) {
                let _ = write!(cell, " **{:.2}**", of.answer.ratios_to(&native.answer).median());
            }
            cell
        });
        row("… 99th percentile, ms", &containers, &|of| {
            number(of.answer.percentile(99))
        });
        row("the pod's sandbox before that, median, ms", &containers, &|of| {
            number(of.sandbox.median())
        });
        let _ = write!(
            text,
            "\nOf {starts} starts of each, in turn; bold, the median of the ratios to native in each.\n\n| each pod | {} |\n| --- |{}\n",
            all.iter().map(|of| of.name).collect::<Vec<_>>().join(" | "),
            " ---: |".repeat(all.len()),
        );
        let mut row = |what: &str, cell: &dyn Fn(&Of) -> String| {
            let cells: Vec<String> = all.iter().map(|of| cell(of)).collect();
            let _ = writeln!(text, "| {what} | {} |", cells.join(" | "));
        };
        row("its control groups, MiB", &|of| ranged(&of.groups));
        row("its shim, MiB", &|of| ranged(&of.shims));
        row("both", &|of| number(both(of)));
        row("the machine has less for others, MiB", &|of| ranged(&of.node));
        row("fit into 1.5 of 2 GiB", &|of| {
            number((FOR_PODS / both(of)).floor())
        });
        let _ = writeln!(
            text,
            "\nSlopes through {EVERY}, {}, … {} pods that run; medians of {rounds} repetitions in turn, least and most in brackets.",
            2 * EVERY,
            self.pods,
        );
        text
    }
}

fn both(of: &Of) -> f64 {
    of.groups.median() + of.shims.median()
}

fn ranged(samples: &Samples) -> String {
    format!(
        "{} ({}–{})",
        number(samples.median()),
        number(samples.least()),
        number(samples.most())
    )
}
