//! A summary for people: for each component what it talked to, what it was refused, and what failed.

use std::fmt::{self, Write};

use outport_check::{Colour, Colours};
use outport_records::Peer;
use outport_records::summary::{Component, Failure, Refusal, Rows, Summary, Talk};

use super::shown::{bytes, count, foreign, span, table, times, took};

pub(super) fn human(summary: &Summary, top: usize, with_rules: bool, colours: Colours) -> String {
    let mut page = Page {
        text: String::new(),
        top,
        with_rules,
        colours,
    };
    // Writing to a text does not fail.
    let _ = page.summary(summary);
    page.text
}

struct Page {
    text: String,
    top: usize,
    with_rules: bool,
    colours: Colours,
}

impl Page {
    fn summary(&mut self, summary: &Summary) -> fmt::Result {
        let Some((first, last)) = summary.span else {
            return writeln!(self.text, "No record of the log is one that was asked for.");
        };
        let processes = match summary.processes() {
            0 | 1 => String::new(),
            processes => format!(" of {} processes", count(processes as u64)),
        };
        let (records, allowed, denied) = (
            count(summary.records),
            count(summary.allowed),
            count(summary.denied),
        );
        writeln!(
            self.text,
            "{first} to {last}: {records} records{processes}, {allowed} allowed, {denied} denied"
        )?;
        if summary.lost > 0 {
            let lost = format!("{} lines were lost: this is not all", count(summary.lost));
            writeln!(self.text, "{}", self.colours.with(Colour::Red, &lost))?;
        }
        for (name, component) in summary.components() {
            let title = format!("component `{}`", foreign(name));
            writeln!(self.text, "\n{}", self.colours.with(Colour::Bold, &title))?;
            self.component(component)?;
        }
        if summary.beyond() > 0 {
            writeln!(
                self.text,
                "\nand {} records of further components",
                count(summary.beyond())
            )?;
        }
        Ok(())
    }

    fn component(&mut self, component: &Component) -> fmt::Result {
        self.talks(&component.talks)?;
        let datagrams = component.datagrams;
        if datagrams.sent + datagrams.received > 0 {
            let (sent, received) = (count(datagrams.sent), count(datagrams.received));
            writeln!(
                self.text,
                "  UDP sockets: {sent} datagrams sent, {received} received"
            )?;
        }
        self.refusals(&component.refusals)?;
        self.failures(&component.failures)
    }

    fn talks(&mut self, rows: &Rows<Talk>) -> fmt::Result {
        if rows.is_empty() {
            return Ok(());
        }
        let mut talks: Vec<&Talk> = rows.iter().collect();
        talks.sort_by(|one, other| {
            often(other)
                .cmp(&often(one))
                .then_with(|| key(one).cmp(&key(other)))
        });
        let (shown, more) = talks.split_at(talks.len().min(self.top));
        let heads = [
            "talked to",
            "by",
            "times",
            "failed",
            "sent",
            "received",
            "half, longest",
            "first",
            "last",
        ];
        let mut cells = vec![heads.map(str::to_owned)];
        cells.extend(shown.iter().map(|talk| row_of(talk)));
        let right = [false, false, true, true, true, true, true, false, false];
        let lines = table(&cells, right, "  ");
        for (index, line) in lines.iter().enumerate() {
            writeln!(self.text, "{line}")?;
            let rule = index
                .checked_sub(1)
                .and_then(|index| shown[index].rule.as_deref());
            if let Some(rule) = rule.filter(|_| self.with_rules) {
                writeln!(self.text, "      by {}", foreign(rule))?;
            }
        }
        let records = more.iter().map(|talk| often(talk)).sum::<u64>();
        self.more(more.len(), records, "destinations")?;
        self.beyond(rows.beyond(), "destinations")
    }

    fn refusals(&mut self, rows: &Rows<Refusal>) -> fmt::Result {
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(self.text, "  {}", self.colours.with(Colour::Red, "refused"))?;
        let mut refusals: Vec<&Refusal> = rows.iter().collect();
        refusals.sort_by(|one, other| {
            let key = |own: &Refusal| (own.destination.clone(), own.reason.clone());
            other
                .count
                .cmp(&one.count)
                .then_with(|| key(one).cmp(&key(other)))
        });
        let (shown, more) = refusals.split_at(refusals.len().min(self.top));
        for refusal in shown {
            self.refusal(refusal)?;
        }
        let records = more.iter().map(|refusal| refusal.count).sum();
        self.more(more.len(), records, "refusals")?;
        self.beyond(rows.beyond(), "refusals")
    }

    fn refusal(&mut self, refusal: &Refusal) -> fmt::Result {
        let name = refusal
            .name
            .as_deref()
            .map(|name| format!(" ({})", foreign(name)));
        writeln!(
            self.text,
            "    {} {}{} [{}] {}, {}",
            foreign(&refusal.attempt),
            foreign(&refusal.destination),
            name.unwrap_or_default(),
            foreign(&refusal.reason),
            times(refusal.count),
            span(&refusal.span)
        )?;
        let rule = refusal.rule.as_deref().map(|rule| format!(": {}", foreign(rule)));
        writeln!(
            self.text,
            "      {}{}",
            foreign(&refusal.detail),
            rule.unwrap_or_default()
        )?;
        if let Some(remedy) = &refusal.remedy {
            writeln!(
                self.text,
                "      {}",
                self.colours.with(Colour::Green, &foreign(remedy))
            )?;
        }
        for also in &refusal.also {
            let what = also.remedy.as_deref().unwrap_or(&also.detail);
            writeln!(
                self.text,
                "      and [{}]: {}",
                foreign(&also.reason),
                foreign(what)
            )?;
        }
        Ok(())
    }

    fn failures(&mut self, rows: &Rows<Failure>) -> fmt::Result {
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(self.text, "  {}", self.colours.with(Colour::Yellow, "failed"))?;
        let mut failures: Vec<&Failure> = rows.iter().collect();
        failures.sort_by(|one, other| {
            let key = |own: &Failure| (own.host.clone(), own.port, own.error.clone());
            other
                .count
                .cmp(&one.count)
                .then_with(|| key(one).cmp(&key(other)))
        });
        let (shown, more) = failures.split_at(failures.len().min(self.top));
        for failure in shown {
            let peer = peer(&failure.protocol, &failure.host, failure.port);
            let (protocol, error) = (foreign(&failure.protocol), foreign(&failure.error));
            let (often, when) = (times(failure.count), span(&failure.span));
            writeln!(self.text, "    {protocol} {peer} [{error}] {often}, {when}")?;
        }
        let records = more.iter().map(|failure| failure.count).sum();
        self.more(more.len(), records, "failures")?;
        self.beyond(rows.beyond(), "failures")
    }

    /// What is there and not shown.
    fn more(&mut self, rows: usize, records: u64, what: &str) -> fmt::Result {
        if rows == 0 {
            return Ok(());
        }
        let (rows, records) = (count(rows as u64), times(records));
        writeln!(
            self.text,
            "    and {rows} more {what}, {records} in all: `--top N` shows more"
        )
    }

    /// What was not told apart.
    fn beyond(&mut self, records: u64, what: &str) -> fmt::Result {
        if records == 0 {
            return Ok(());
        }
        let records = count(records);
        writeln!(
            self.text,
            "    and {records} records of {what} beyond the first {} different ones, which are not told apart: \
             `--destination`, `--since` and the like leave less",
            count(outport_records::summary::ROWS as u64)
        )
    }
}

/// How often it was, also where the decisions are not in the log.
fn often(talk: &Talk) -> u64 {
    talk.allowed.max(talk.succeeded + talk.failed).max(talk.ended)
}

fn key(talk: &Talk) -> (&str, &str, Option<u16>) {
    (&talk.host, &talk.protocol, talk.port)
}

fn peer(protocol: &str, host: &str, port: Option<u16>) -> String {
    foreign(&Peer { protocol, host, port }.to_string())
}

fn row_of(talk: &Talk) -> [String; 9] {
    let nothing_if_none = |number: u64, shown: String| if number == 0 { "-".to_owned() } else { shown };
    let durations = match talk.durations.median() {
        None => "-".to_owned(),
        Some(median) => format!("{}, {}", took(median), took(talk.durations.max())),
    };
    [
        peer(&talk.protocol, &talk.host, talk.port),
        foreign(&talk.protocol),
        count(often(talk)),
        nothing_if_none(talk.failed, count(talk.failed)),
        nothing_if_none(talk.flow.sent, bytes(talk.flow.sent)),
        nothing_if_none(talk.flow.received, bytes(talk.flow.received)),
        durations,
        talk.span.first.to_string(),
        talk.span.last.to_string(),
    ]
}
