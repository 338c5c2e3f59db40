//! The result for people.
//!
//! ```text
//! web
//!   = https://api.example.com       http 3 times, 2026-03-01T09:30:00Z to 09:31:10Z; spin.toml:12:5
//!   + *://db.example.com:5432       tcp 14 times, …
//!   ~ *://10.0.0.5:6379             tcp once, …; `*://10.0.0.0/8:*` permits it, and more
//!   Wider than this run needs: …
//!   Never used: …
//! Refused, and not proposed: …
//! ```
//!
//! Whatever came from a guest, a log or a file is shown as text.

use std::fmt;

use outport_check::learn::{Comparison, Missing, Present, Refusal, Seen, Target, Times, Use};
use outport_check::{Colour, Colours, Diagnostic};
use outport_policy::{Entry, text};

use super::lists::Lists;
use crate::files::Files;
use crate::terminal::Terminal;

/// The whole result.
pub(super) struct Report<'a> {
    pub(super) lists: &'a Lists,
    pub(super) comparisons: &'a [Comparison<'a>],
    pub(super) seen: &'a Seen,
    pub(super) prune: bool,
    /// True if the manifest is changed by it.
    pub(super) is_written: bool,
    pub(super) colours: Colours,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for comparison in self.comparisons {
            self.list(comparison, f)?;
        }
        if self.comparisons.is_empty() {
            writeln!(f, "Nothing used the network.")?;
        }
        self.refused(f)?;
        self.unanswered(f)?;
        self.options(f)
    }
}

impl Report<'_> {
    fn list(&self, list: &Comparison<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = text::message(&list.list).to_string();
        writeln!(f, "{}", self.colours.with(Colour::Bold, &name))?;
        let needed = list.present.iter().filter_map(|one| match one {
            Present::Needed { entry, uses } => Some(('=', shown(entry), used(uses) + "; " + &place(entry))),
            Present::AskedFor { entry, uses } => {
                let why = format!("{}, and nothing more came of it; {}", used(uses), place(entry));
                Some(('=', shown(entry), why))
            }
            _ => None,
        });
        let missing = list.missing.iter().map(|one| {
            let mark = if one.covered && !self.prune { '~' } else { '+' };
            (mark, one.least.entry.to_string(), why(one))
        });
        let lines: Vec<_> = needed.chain(missing).collect();
        let width = lines.iter().map(|(_, entry, _)| entry.chars().count()).max();
        let width = width.unwrap_or_default().min(WIDEST);
        for (mark, entry, why) in &lines {
            let line = text::terminal_lines(&format!("{entry:width$}  {why}"));
            let mark = match mark {
                '+' => self.colours.with(Colour::Green, "+"),
                mark => mark.to_string(),
            };
            writeln!(f, "  {mark} {line}")?;
        }
        if lines.is_empty() {
            writeln!(f, "  nothing is needed: it used no host")?;
        }
        let wider = list.present.iter().filter_map(|one| match one {
            Present::Wider { entry, tried, .. } => Some((*entry, *tried)),
            _ => None,
        });
        let never = list.present.iter().filter_map(|one| match one {
            Present::NeverUsed(entry) => Some(*entry),
            _ => None,
        });
        let fate = match (self.prune, self.is_written) {
            (true, true) => "taken out",
            (true, false) => "`--write` takes it out",
            (false, _) => "stays; `--prune` takes it out",
        };
        for (entry, tried) in wider {
            let needed = tried.map(|one| {
                let host = one.target.host();
                format!("stays: `{host}` was asked for in vain, and nothing else permits that")
            });
            let fate = needed.as_deref().unwrap_or(fate);
            self.entry_that_is_there("Wider than this run needs", entry, fate, f)?;
        }
        for entry in never {
            self.entry_that_is_there("Never used", entry, fate, f)?;
        }
        Ok(())
    }

    fn entry_that_is_there(
        &self,
        what: &str,
        entry: &Entry,
        fate: &str,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let fate = if entry.is_filled_in() {
            "stays, since variables are in it"
        } else {
            fate
        };
        let line = text::terminal_lines(&format!("{} ({}): {fate}", shown(entry), place(entry)));
        writeln!(f, "  {}: {line}", self.colours.with(Colour::Yellow, what))
    }

    fn refused(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (by_quotas, by_others): (Vec<&Refusal>, Vec<&Refusal>) = self
            .seen
            .refusals()
            .partition(|refusal| refusal.reason.starts_with("quota."));
        let titles = [
            ("Refused, and nothing is proposed for it:", by_others),
            ("Refused, since there was too much at a time:", by_quotas),
        ];
        for (title, refusals) in titles.iter().filter(|(_, refusals)| !refusals.is_empty()) {
            writeln!(f, "{}", self.colours.with(Colour::Bold, title))?;
            for refusal in refusals {
                writeln!(f, "  {}", text::terminal_lines(&told(refusal)))?;
            }
        }
        Ok(())
    }

    fn unanswered(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for one in self.seen.unanswered() {
            let line = format!(
                "`{component}` looked up `{name}`, {}, and got no address: nothing is proposed for it; if it is to be reached, \
                 see that an entry such as `*://{name}:443`, with its true port, is there",
                times(&one.times),
                component = text::message(&one.component),
                name = one.name,
            );
            writeln!(f, "{}", text::terminal_lines(&line))?;
        }
        Ok(())
    }

    /// The options by which a component without a manifest gets the list.
    fn options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(_), [list]) = (self.lists.component(), self.comparisons) else {
            return Ok(());
        };
        let needed = list.present.iter().filter_map(|one| match one {
            Present::Needed { entry, .. } | Present::AskedFor { entry, .. } => Some(entry.to_string()),
            _ => None,
        });
        let missing = list.missing.iter().map(|one| one.least.entry.to_string());
        let entries: Vec<String> = needed.chain(missing).collect();
        if entries.is_empty() {
            return Ok(());
        }
        writeln!(f, "{}", self.colours.with(Colour::Bold, "As options:"))?;
        for entry in entries {
            // What is an entry has no quotes in it, and a shell would read its braces.
            writeln!(f, "  --allowed-outbound-hosts '{}'", text::terminal_lines(&entry))?;
        }
        Ok(())
    }
}

/// What is missing in the knowledge of the run, which makes the list one that may not suffice.
pub(super) fn warn_of_gaps(seen: &Seen, terminal: Terminal) {
    let gaps = [
        (seen.left_out(), "uses were too many to keep"),
        (
            seen.lost(),
            "lines of the audit log are missing or cannot be read",
        ),
        (
            seen.forgotten(),
            "instances were not remembered as long as they would have to be: what they reached afterwards is listed by address",
        ),
    ];
    for (number, what) in gaps.into_iter().filter(|(number, _)| *number > 0) {
        let warning = Diagnostic::warning(format!("the list may not be complete: {number} {what}"));
        terminal.show(&warning, &Files::default());
    }
}

/// The entry as it is written, with what is secret in it masked.
fn shown(entry: &Entry) -> String {
    text::excerpt(entry.text()).into_owned()
}

fn place(entry: &Entry) -> String {
    entry.location().to_string()
}

fn why(one: &Missing<'_>) -> String {
    let mut why = used(&one.least.uses);
    if one.least.for_lookup {
        why += "; it is looked up and nothing more, so the port is one where nobody listens";
    }
    if let Some(folded) = &one.least.folded {
        why += &format!("; it also lets in {}", folded.lets_in);
    }
    if let [first, ..] = one.covered_by.as_slice() {
        why += &format!("; `{}` permits it, and more", shown(first));
    }
    why
}

/// What used an entry: `tcp 14 times, FIRST to LAST`.
fn used(uses: &[&Use]) -> String {
    let mut kinds: Vec<(&str, Times)> = Vec::new();
    for one in uses {
        let kind = one.target.what();
        match kinds.iter_mut().find(|(own, _)| *own == kind) {
            Some((_, times)) => *times = times.with(&one.times),
            None => kinds.push((kind, one.times.clone())),
        }
    }
    let mut told: Vec<String> = kinds
        .iter()
        .map(|(kind, of_kind)| format!("{kind} {}", times(of_kind)))
        .collect();
    let mut names: Vec<&str> = uses
        .iter()
        .flat_map(|one| &one.also_named)
        .map(outport_policy::Name::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        names.truncate(MOST_NAMES);
        told.push(format!("the address was looked up as {} too", names.join(", ")));
    }
    let parts = uses.iter().flat_map(|one| &one.by).filter(|by| by.contains('/'));
    let mut parts: Vec<String> = parts.map(|by| text::message(by).to_string()).collect();
    parts.sort_unstable();
    parts.dedup();
    if !parts.is_empty() {
        parts.truncate(MOST_NAMES);
        told.push(format!("by {}", parts.join(", ")));
    }
    if uses.iter().any(|one| matches!(one.target, Target::Lookup { .. })) && told.is_empty() {
        told.push("a look-up".to_owned());
    }
    told.join("; ")
}

fn times(times: &Times) -> String {
    match times.count {
        1 => format!("once, at {}", times.first),
        count if times.first == times.last => format!("{count} times, at {}", times.first),
        count => format!("{count} times, {} to {}", times.first, times.last),
    }
}

fn told(refusal: &Refusal) -> String {
    let remedy = refusal.remedy.as_ref().map(|remedy| format!("; {remedy}"));
    format!(
        "`{}` {} {}, {} [{}] {}{}",
        text::message(&refusal.component),
        refusal.attempt,
        refusal.destination,
        times(&refusal.times),
        refusal.reason,
        refusal.detail,
        remedy.unwrap_or_default()
    )
}

/// Columns of the longest entry that others are aligned with.
const WIDEST: usize = 48;

/// Names in one line.
const MOST_NAMES: usize = 5;
