//! Why an address could be reached at a moment, or could not: for people, and for programs.

mod json;

use std::fmt::{self, Write};

use outport_check::{Colour, Colours};
use outport_policy::text;
use outport_records::why::{Answer, Attempted, End, Grant, Host, Lookup, Question, Subject, Unknown};
use outport_records::{Timestamp, Verdict};

pub(super) use self::json::json;
use super::shown::{count, foreign};

pub(super) fn human(answer: &Answer, top: usize, colours: Colours) -> String {
    let mut page = Page {
        text: String::new(),
        colours,
    };
    // Writing to a text does not fail.
    let _ = page.answer(answer, top);
    page.text
}

/// The host that was asked about, with its port.
fn host(question: &Question) -> String {
    match (&question.host, question.port) {
        (Host::Address(address), Some(port)) => std::net::SocketAddr::new(*address, port).to_string(),
        (Host::Address(address), None) => address.to_string(),
        (Host::Name(name), Some(port)) => format!("{}:{port}", foreign(name)),
        (Host::Name(name), None) => foreign(name),
    }
}

struct Page {
    text: String,
    colours: Colours,
}

impl Page {
    fn answer(&mut self, answer: &Answer, top: usize) -> fmt::Result {
        let question = &answer.question;
        let about = format!("{} at {}", host(question), question.until);
        writeln!(self.text, "{}", self.colours.with(Colour::Bold, &about))?;
        if answer.subjects.is_empty() {
            writeln!(
                self.text,
                "  up to then nothing in the log is about it: it was neither looked up nor attempted"
            )?;
        }
        for subject in answer.subjects.iter().take(top) {
            self.subject(subject, question)?;
        }
        let more = answer.beyond + answer.subjects.len().saturating_sub(top) as u64;
        if more > 0 {
            let more = count(more);
            writeln!(
                self.text,
                "\nand {more} more instances: `--instance`, `--component` or `--top N` show others"
            )?;
        }
        for unknown in &answer.unknown {
            let said = self.colours.with(Colour::Yellow, &unknown_in_words(*unknown));
            writeln!(self.text, "\n{said}")?;
        }
        Ok(())
    }

    fn subject(&mut self, subject: &Subject, question: &Question) -> fmt::Result {
        let of = subject.run.process().map(|started| {
            let started = Timestamp::from_millis(started);
            format!(" of the process that started at {started}")
        });
        let (component, instance) = (text::message(&subject.component), subject.instance);
        writeln!(
            self.text,
            "\ncomponent `{component}`, instance {instance}{}",
            of.unwrap_or_default()
        )?;
        for attempt in &subject.attempts {
            self.attempt(attempt, question)?;
        }
        if subject.more_attempts > 0 {
            writeln!(
                self.text,
                "  and {} more attempts in that moment",
                count(subject.more_attempts)
            )?;
        }
        if subject.attempts.is_empty() {
            self.without_an_attempt(subject, question)?;
        }
        if subject.last < question.from {
            let last = subject.last;
            writeln!(
                self.text,
                "  its last line is of {last}: if it had ended by that moment, its grants had ended with it"
            )?;
        }
        Ok(())
    }

    fn attempt(&mut self, attempt: &Attempted, question: &Question) -> fmt::Result {
        let (verdict, colour) = match attempt.verdict {
            Verdict::Allow => ("allowed", Colour::Green),
            Verdict::Deny => ("denied", Colour::Red),
        };
        let name = attempt
            .name
            .as_deref()
            .map(|name| format!(" ({})", foreign(name)));
        writeln!(
            self.text,
            "  {}: {} {}{}, decision {} at {}",
            self.colours.with(colour, verdict),
            foreign(&attempt.attempt),
            foreign(&attempt.destination),
            name.unwrap_or_default(),
            attempt.id,
            attempt.ts
        )?;
        match attempt.verdict {
            Verdict::Allow => match &attempt.rule {
                Some(rule) => writeln!(self.text, "    by {}", foreign(rule))?,
                None => writeln!(self.text, "    no entry was needed")?,
            },
            Verdict::Deny => self.reasons(attempt)?,
        }
        // What another rule permits or refuses has nothing to do with look-ups.
        if attempt.attempt.starts_with("dns.") || attempt.attempt.starts_with("http.") {
            return Ok(());
        }
        for grant in &attempt.granted_by {
            self.grant(grant, question)?;
        }
        match &attempt.ended {
            Some((grant, end)) if attempt.granted_by.is_empty() => self.ended(grant, end),
            _ => Ok(()),
        }
    }

    fn reasons(&mut self, attempt: &Attempted) -> fmt::Result {
        let optional = |text: &Option<String>| text.as_deref().map(foreign).unwrap_or_default();
        let (reason, detail) = (optional(&attempt.reason), optional(&attempt.detail));
        writeln!(self.text, "    [{reason}] {detail}")?;
        if let Some(rule) = &attempt.rule {
            writeln!(self.text, "    by {}", foreign(rule))?;
        }
        if let Some(closest) = &attempt.closest {
            writeln!(self.text, "    closest: {}", foreign(closest))?;
        }
        if let Some(remedy) = &attempt.remedy {
            writeln!(
                self.text,
                "    {}",
                self.colours.with(Colour::Green, &foreign(remedy))
            )?;
        }
        for (reason, remedy) in &attempt.also {
            writeln!(self.text, "    and [{}] {}", foreign(reason), optional(remedy))?;
        }
        Ok(())
    }

    /// What it could have reached, and what it attempted before.
    fn without_an_attempt(&mut self, subject: &Subject, question: &Question) -> fmt::Result {
        writeln!(self.text, "  nothing was attempted in that moment")?;
        for grant in &subject.granted_by {
            self.grant(grant, question)?;
        }
        if let (true, Some((grant, end))) = (subject.granted_by.is_empty(), subject.ended.last()) {
            self.ended(grant, end)?;
        }
        match &subject.before {
            None => Ok(()),
            Some(before) => {
                writeln!(self.text, "  the last attempt before it:")?;
                self.attempt(before, question)
            }
        }
    }

    fn grant(&mut self, grant: &Grant, question: &Question) -> fmt::Result {
        self.lookup(&grant.lookup)?;
        if let Host::Address(_) = question.host {
            writeln!(
                self.text,
                "      so it could be reached on the ports of entries for that name, since {}",
                grant.since
            )?;
        }
        Ok(())
    }

    fn lookup(&mut self, lookup: &Lookup) -> fmt::Result {
        let name = foreign(&lookup.name);
        match (lookup.begun, &lookup.rule) {
            (None, _) => writeln!(
                self.text,
                "    look-up {} of {name}, which began before the log does",
                lookup.number
            )?,
            (Some(begun), None) => writeln!(self.text, "    look-up {} of {name} at {begun}", lookup.number)?,
            (Some(begun), Some(rule)) => {
                let rule = foreign(rule);
                writeln!(
                    self.text,
                    "    look-up {} of {name} at {begun}, permitted by {rule}",
                    lookup.number
                )?;
            }
        }
        let refused = lookup
            .refused
            .iter()
            .map(|(own, code)| format!("{own} [{}] refused", foreign(code)));
        let addresses: Vec<_> = lookup
            .granted
            .iter()
            .map(ToString::to_string)
            .chain(refused)
            .collect();
        let error = lookup
            .error
            .as_deref()
            .map(|error| format!("[{}]", foreign(error)));
        let answer = addresses.into_iter().chain(error).collect::<Vec<_>>().join(", ");
        writeln!(self.text, "      answered at {}: {answer}", lookup.answered)
    }

    fn ended(&mut self, grant: &Grant, end: &End) -> fmt::Result {
        let name = foreign(&grant.lookup.name);
        writeln!(
            self.text,
            "    {name} had granted it since {}, which ended:",
            grant.since
        )?;
        match end {
            End::Replaced(lookup) => self.lookup(lookup),
            End::Evicted { at, by } => {
                let by = foreign(by);
                writeln!(
                    self.text,
                    "      its place was taken by {by} at {at}: too many names were looked up since"
                )
            }
        }
    }
}

fn unknown_in_words(unknown: Unknown) -> String {
    match unknown {
        Unknown::Empty => "the log is empty".to_owned(),
        Unknown::BeginsLater(first) => format!("the log begins later, at {first}: name the files before it too"),
        Unknown::BeginsAt(first) => {
            format!("the log begins at {first}, and something above began before: name the files before it too")
        }
        Unknown::EndsBefore(last) => format!("the log ends before that, at {last}"),
        Unknown::Lost(lines) => {
            format!("{} lines were lost by then: a look-up or its answer may be among them", count(lines))
        }
        Unknown::OnlyDenials => {
            "the log has nothing that was permitted, as with `--audit-denials`: which look-ups granted something is not in it"
                .to_owned()
        }
        Unknown::WithoutLookups => {
            "answers in the log do not name their look-ups: it was written by an older version, and what they granted is left out"
                .to_owned()
        }
        Unknown::Forgotten => {
            "more instances had to do with it than are remembered: those that were heard of last are told; `--instance` and \
             `--component` leave less"
                .to_owned()
        }
        _ => String::new(),
    }
}
