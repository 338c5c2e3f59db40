//! What a question looks like, and what is an answer to it.
//!
//! Names of components, hosts and files are others' text: nothing in it does anything to the terminal, and no line begins
//! with it.

use std::time::Duration;

use outport_egress::Question;
use outport_policy::{Addition, text};

use super::desk::{A_MINUTE, OF_ONE};

/// What a person can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Once,
    Run,
    Write,
    No,
}

/// The answers to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) once: bool,
    pub(super) write: bool,
}

impl Offer {
    /// The answers to `question`, where entries can be written down or not.
    pub(super) fn of(question: &Question, can_write: bool) -> Self {
        let is_entry = matches!(question.addition, Addition::Entry(_));
        Self {
            once: question.offers_once,
            // The list of a part, `COMPONENT/PART`, stands with the dependency.
            write: can_write && is_entry && !question.list.contains('/'),
        }
    }

    /// The answer that was typed; nothing if it is none of them. Nothing typed is no.
    pub(super) fn read(self, line: &str) -> Option<Choice> {
        match line.trim().to_ascii_lowercase().as_str() {
            "" | "n" | "no" => Some(Choice::No),
            "o" | "once" if self.once => Some(Choice::Once),
            "r" | "run" => Some(Choice::Run),
            "w" | "write" if self.write => Some(Choice::Write),
            _ => None,
        }
    }

    /// The line that says what can be answered.
    pub(super) fn prompt(self, left: Duration) -> String {
        let answers = [
            (self.once, "[o]nce"),
            (true, "for this [r]un"),
            (self.write, "[w]rite it to spin.toml"),
            (true, "[n]o"),
        ];
        let answers: Vec<&str> = answers
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, text)| *text)
            .collect();
        format!(
            "  {}? (Enter is no, and so is silence for {} s) ",
            answers.join(", "),
            left.as_secs_f64().ceil().max(1.0)
        )
    }
}

/// The lines of a question, without the prompt.
pub(super) fn lines(question: &Question, manifest: Option<&str>) -> Vec<String> {
    let component = text::quote(&question.component);
    let mut lines = vec![
        format!(
            "outport asks: may `{component}` {} {}?",
            verb(question.attempt),
            question.destination
        ),
        format!("  instance   {} of `{component}`", question.instance),
    ];
    if let Some(name) = &question.name {
        lines.push(format!("  looked up  {name}"));
    }
    let reason = question.reason;
    lines.push(format!("  refused    {} ({})", reason.sentence(), reason.code()));
    let list = text::quote(&question.list);
    lines.push(match (&question.addition, manifest) {
        (Addition::Entry(entry), Some(manifest)) => {
            format!(
                "  entry      \"{}\" in allowed_outbound_hosts of `{list}`, {manifest}",
                entry.text()
            )
        }
        (Addition::Entry(entry), None) => format!("  entry      \"{}\" for `{list}`", entry.text()),
        (Addition::Lookup(lookup), _) => format!(
            "  permits    to look {} up, no more; you are asked again when it connects",
            lookup.name()
        ),
    });
    lines.iter().map(|line| text::terminal(line)).collect()
}

/// True if a line is the end of a `no`, whatever stood before it.
pub(super) fn ends_no(line: &str) -> bool {
    line.trim().eq_ignore_ascii_case("o")
}

/// What is said of questions that nobody was asked.
pub(super) fn beyond(more: u64) -> String {
    format!(
        "outport asks no more than {A_MINUTE} questions a minute, {OF_ONE} for a component that is not alone: the answer to \
         {more} more was no"
    )
}

fn verb(attempt: &str) -> &'static str {
    match attempt {
        "tcp.connect" => "connect to",
        "udp.connect" | "udp.send" => "send datagrams to",
        "dns.lookup" => "look up",
        "http.request" => "send a request to",
        _ => "use",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_offered_is_an_answer_and_enter_is_no() {
        let all = Offer {
            once: true,
            write: true,
        };
        let few = Offer {
            once: false,
            write: false,
        };
        for (line, with_all, with_few) in [
            ("", Some(Choice::No), Some(Choice::No)),
            ("\n", Some(Choice::No), Some(Choice::No)),
            ("n\n", Some(Choice::No), Some(Choice::No)),
            (" NO \n", Some(Choice::No), Some(Choice::No)),
            ("o\n", Some(Choice::Once), None),
            ("once", Some(Choice::Once), None),
            ("r\n", Some(Choice::Run), Some(Choice::Run)),
            ("w\n", Some(Choice::Write), None),
            ("y\n", None, None),
            ("yes\n", None, None),
            ("\u{1b}[?62;c\n", None, None),
            ("ow", None, None),
        ] {
            assert_eq!(all.read(line), with_all, "{line:?}");
            assert_eq!(few.read(line), with_few, "{line:?}");
        }
        // What is left of `no`, once its first letter was discarded, is another answer.
        assert!(ends_no("o\n") && ends_no(" O") && !ends_no("once\n") && !ends_no("no"));
        assert!(!few.prompt(Duration::from_secs(60)).contains("spin.toml"));
        assert!(all.prompt(Duration::from_secs(60)).contains("60 s"));
    }
}
