//! The results of one kind of workload: a row for each quantity, a column for each contestant.

use std::fmt::Write as _;

use crate::record::Record;
use crate::samples::{Samples, Unit, number};

/// What is compared in one table and one picture.
#[derive(Debug)]
pub(crate) struct Table {
    /// What the markers in the page and the file of the picture are called.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// Ratios are given to this contestant, where a row has it.
    pub(crate) baseline: &'static str,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: Unit,
    /// By contestant, in the order of first appearance.
    pub(crate) cells: Vec<(&'static str, Samples)>,
}

impl Table {
    pub(crate) fn new(name: &'static str, title: &'static str, baseline: &'static str) -> Self {
        Self {
            name,
            title,
            baseline,
            rows: Vec::new(),
        }
    }

    /// Notes one measurement.
    pub(crate) fn add(&mut self, what: &str, unit: Unit, contestant: &'static str, sample: f64) {
        let at = self
            .rows
            .iter()
            .position(|row| row.what == what)
            .unwrap_or_else(|| {
                self.rows.push(Row {
                    what: what.to_owned(),
                    unit,
                    cells: Vec::new(),
                });
                self.rows.len() - 1
            });
        self.rows[at].samples_of(contestant).add(sample);
    }

    /// Everything that was measured, for [`crate::record`].
    pub(crate) fn record(&self) -> Record {
        let mut record = Record::default();
        for row in &self.rows {
            for (contestant, samples) in &row.cells {
                record.add(&row.what, row.unit, contestant, samples.clone());
            }
        }
        record
    }

    pub(crate) fn contestants(&self) -> Vec<&'static str> {
        let mut all = Vec::new();
        for (contestant, _) in self.rows.iter().flat_map(|row| &row.cells) {
            if !all.contains(contestant) {
                all.push(*contestant);
            }
        }
        all
    }

    /// The table for the page: median, range, and the ratio to the baseline.
    pub(crate) fn markdown(&self) -> String {
        let contestants = self.contestants();
        let mut text = String::new();
        let _ = writeln!(text, "| {} | {} |", self.title, contestants.join(" | "));
        let _ = writeln!(text, "| --- |{}", " ---: |".repeat(contestants.len()));
        for row in &self.rows {
            let _ = write!(text, "| {}, {} |", row.what, row.unit);
            for contestant in &contestants {
                let _ = write!(text, " {} |", row.cell(contestant, self.baseline));
            }
            text.push('\n');
        }
        let repetitions = self
            .rows
            .iter()
            .flat_map(|row| &row.cells)
            .map(|(_, samples)| samples.count());
        let _ = write!(
            text,
            "\nMedians of {} repetitions in turn, least and most in brackets",
            repetitions.min().unwrap_or(0)
        );
        if contestants.len() > 1 && contestants.contains(&self.baseline) {
            let _ = write!(
                text,
                "; bold, the median of the ratios to {} in each",
                self.baseline
            );
        }
        text.push_str(".\n");
        text
    }
}

impl Row {
    pub(crate) fn get(&self, contestant: &str) -> Option<&Samples> {
        self.cells
            .iter()
            .find(|(own, _)| *own == contestant)
            .map(|(_, samples)| samples)
    }

    fn samples_of(&mut self, contestant: &'static str) -> &mut Samples {
        let at = self
            .cells
            .iter()
            .position(|(own, _)| *own == contestant)
            .unwrap_or_else(|| {
                self.cells.push((contestant, Samples::default()));
                self.cells.len() - 1
            });
        &mut self.cells[at].1
    }

    fn cell(&self, contestant: &str, baseline: &str) -> String {
        let Some(samples) = self.get(contestant) else {
            return "–".to_owned();
        };
        let mut text = number(samples.median());
        if samples.count() > 1 {
            let _ = write!(text, " ({}–{})", number(samples.least()), number(samples.most()));
        }
        if let Some(base) = self.get(baseline).filter(|_| contestant != baseline) {
            let _ = write!(text, " **{:.2}**", samples.ratios_to(base).median());
        }
        text
    }
}
