//! The table of attempts: `tests/escapes/*.toml`, read into types.
//!
//! ```text
//! file ── about
//!      ├─ [[service]]    what the host connects to on a guest's behalf
//!      ├─ [[world]]      a policy, and everything that is tried under it
//!      │    └─ [[world.attempt]]
//!      ├─ [[entry]]      texts that an author or operator may write, and what becomes of them
//!      └─ [[elsewhere]]  known attempts that another test makes, and why not this one
//! ```
//!
//! A step of an attempt is `STATEMENT => RESULT ! REASON ! REASON`: a statement of the script guests, what the
//! guest gets, and the reasons of the denials that the audit log has for it. A result may end in `*`, for any
//! rest, and may be several with ` | ` between them. A reason with a question mark may be missing. The step `in NAME` goes on in a new instance of that component.
//! A statement may send a ClientHello ([`hello`]).
//!
//! `{x}` in an attempt stands for each text of `each`: one line of the table, as many attempts.
//!
//! In a file with `[[service]]` each world is one for each service, and each attempt one for each function that opens a
//! connection to it ([`Service`] says what stands for what).

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use outport_e2e::dns::Reply;
use outport_e2e::guest::{Form, workspace};
use serde::Deserialize;

use super::hello;
use super::service::Service;

/// One file of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// What its attempts have in common.
    pub(crate) about: String,
    #[serde(default)]
    pub(crate) service: Vec<Service>,
    #[serde(default)]
    pub(crate) world: Vec<World>,
    #[serde(default)]
    pub(crate) entry: Vec<Written>,
    #[serde(default)]
    pub(crate) elsewhere: Vec<Elsewhere>,
}

/// A policy in force, and what guests try under it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct World {
    /// For messages.
    pub(crate) name: String,
    /// The services of the file that it is about; by default all of them.
    pub(crate) services: Option<Vec<String>>,
    /// The guest that makes the attempts, on WASI 0.3; by default the script guest of each version.
    pub(crate) guest: Option<String>,
    /// The author's entries.
    #[serde(default)]
    pub(crate) allow: Vec<String>,
    /// The operator's entries.
    #[serde(default)]
    pub(crate) deny: Vec<String>,
    /// Further options of the operator.
    #[serde(default)]
    pub(crate) options: Vec<String>,
    /// Variables in Outport's environment.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    /// Components and their entries, instead of one component with `allow`.
    #[serde(default)]
    pub(crate) components: BTreeMap<String, Vec<String>>,
    /// What the name server answers from the start: one text a reply, the last for ever.
    #[serde(default)]
    pub(crate) dns: BTreeMap<String, Vec<String>>,
    /// What is tried, in this order, each attempt in an instance of its own.
    pub(crate) attempt: Vec<Attempt>,
}

/// What a guest tries.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attempt {
    /// Known attempts of that id are this one, or are among those of `each`.
    pub(crate) id: String,
    /// The clauses of the policy that it is about.
    pub(crate) clauses: Vec<String>,
    /// What the guest does, and why that may work.
    pub(crate) guest: String,
    /// One attempt for each.
    #[serde(default)]
    pub(crate) each: Vec<String>,
    /// What the name server answers during the attempt, beside what it answers in the whole world.
    #[serde(default)]
    pub(crate) dns: BTreeMap<String, Vec<String>>,
    /// The steps.
    pub(crate) does: Vec<String>,
    /// How the last step ends.
    pub(crate) ends: Ending,
    /// How many connections and datagrams arrive outside.
    #[serde(default)]
    pub(crate) reaches: usize,
    /// Which names the name server is asked for; not looked at if absent.
    pub(crate) asks: Option<Vec<String>>,
    /// The only WASI version that the attempt is for.
    pub(crate) only: Option<String>,
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ending {
    /// The policy refuses it.
    Denied,
    /// There is no such thing: WASI's own rules refuse it, or no such name exists.
    Impossible,
    /// It is let through.
    Through,
}

/// A text that an author or operator may write as an entry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    pub(crate) id: String,
    pub(crate) clauses: Vec<String>,
    /// Whose list it stands in.
    pub(crate) list: List,
    /// The text, with `{x}` for each of `each`.
    pub(crate) entry: String,
    #[serde(default)]
    pub(crate) each: Vec<String>,
    /// Whether Outport starts with it.
    pub(crate) starts: bool,
    /// What standard error says about it.
    pub(crate) says: String,
}

/// Whose list an entry stands in.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum List {
    Allow,
    Deny,
}

/// An attempt that another test makes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Elsewhere {
    pub(crate) id: String,
    pub(crate) why: String,
    /// `path/from/the/root.rs: name_of_the_test`
    pub(crate) test: String,
}

/// A step of an attempt, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// What follows happens in a new instance of that component.
    In(String),
    Does {
        statement: String,
        result: String,
        reasons: Vec<String>,
    },
}

impl File {
    /// The whole table, each file with its name.
    pub(crate) fn all() -> Vec<(String, Self)> {
        let folder = workspace().join("tests/escapes");
        let mut paths: Vec<_> = fs::read_dir(&folder)
            .expect("the folder of the table")
            .map(|entry| entry.expect("an entry of the folder").path())
            .collect();
        paths.sort();
        let read = |path: &std::path::PathBuf| {
            let name = path
                .file_stem()
                .expect("a file has a name")
                .to_string_lossy()
                .into_owned();
            let text = fs::read_to_string(path).expect("a readable file");
            let mut file: Self = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}.toml: {error}"));
            if !file.service.is_empty() {
                let worlds = std::mem::take(&mut file.world);
                let each = worlds.iter().flat_map(|world| {
                    let services = file.service.iter().filter(|service| world.is_about(service));
                    services.map(|service| service.world(world))
                });
                file.world = each.collect();
            }
            (name, file)
        };
        paths.iter().map(read).collect()
    }
}

impl World {
    fn is_about(&self, service: &Service) -> bool {
        let services = self.services.as_ref();
        services.is_none_or(|services| services.contains(&service.name))
    }

    /// The guests that make the attempts, each with its version of WASI.
    pub(crate) fn guests(&self) -> Vec<(&'static str, &str, Form)> {
        let (p2, p3) = ("http-script-guest", "http-script-guest-p3");
        match &self.guest {
            Some(guest) => vec![("0.3", guest, Form::Component)],
            // What is made of a file gets out no more than what is one.
            None => vec![
                ("0.2", p2, Form::Component),
                ("0.2", p2, Form::Module),
                ("0.3", p3, Form::Component),
                ("0.3", p3, Form::Candidate),
            ],
        }
    }
}

impl Attempt {
    /// Whether it is made on that version of WASI.
    pub(crate) fn is_for(&self, version: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == version)
    }

    /// The attempt with each of its texts in the place of `{x}`.
    pub(crate) fn variants(&self) -> Vec<Self> {
        let only = [String::new()];
        let each = if self.each.is_empty() {
            &only
        } else {
            &self.each[..]
        };
        each.iter().map(|text| self.with(text)).collect()
    }

    fn with(&self, text: &str) -> Self {
        let put = |place: &String| place.replace("{x}", text);
        let all = |places: &Vec<String>| places.iter().map(put).collect::<Vec<_>>();
        let dns = self.dns.iter().map(|(name, replies)| (put(name), all(replies)));
        Self {
            guest: match text {
                "" => self.guest.clone(),
                _ => format!("{} ({text:?})", self.guest),
            },
            dns: dns.collect(),
            does: all(&self.does)
                .iter()
                .map(|step| hello::written_out(step))
                .collect(),
            asks: self.asks.as_ref().map(all),
            ..self.clone()
        }
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        let steps = self.does.iter().map(|step| Step::read(step));
        steps.flat_map(hello::one_by_one).collect()
    }
}

impl Step {
    fn read(text: &str) -> Self {
        if let Some(component) = text.strip_prefix("in ") {
            return Self::In(component.to_owned());
        }
        let (statement, rest) = text
            .split_once(" => ")
            .unwrap_or_else(|| panic!("no result in the step `{text}`"));
        let mut parts = rest.split(" ! ");
        let result = parts.next().unwrap_or_default().to_owned();
        Self::Does {
            statement: statement.to_owned(),
            result,
            reasons: parts.map(str::to_owned).collect(),
        }
    }
}

/// Whether what a guest got is what a step says.
pub(crate) fn fits(result: &str, expected: &str) -> bool {
    expected.split(" | ").any(|one| match one.strip_suffix('*') {
        Some(start) => result.starts_with(start),
        None => result == one,
    })
}

/// A reply of the name server: `10.0.0.5 ::1`, `nxdomain`, `servfail`, each also after `after 300ms: ` or, for
/// addresses, after `via a.test b.test: `.
pub(crate) fn reply(text: &str) -> Reply {
    if let Some((head, rest)) = text.split_once(": ") {
        let words: Vec<&str> = head.split_whitespace().collect();
        return match words.as_slice() {
            ["via", names @ ..] => reply(rest).via(names.iter().copied()),
            ["after", time] => {
                let time = time.trim_end_matches("ms").parse();
                reply(rest).after(Duration::from_millis(time.expect("milliseconds")))
            }
            _ => panic!("`{text}` is no reply"),
        };
    }
    match text {
        "nxdomain" => Reply::nxdomain(),
        "servfail" => Reply::servfail(),
        addresses => Reply::addresses(addresses.split_whitespace()),
    }
}

#[test]
fn a_step_is_a_statement_its_result_and_its_reasons() {
    let does = |statement: &str, result: &str, reasons: &[&str]| Step::Does {
        statement: statement.into(),
        result: result.into(),
        reasons: reasons.iter().map(|&reason| reason.into()).collect(),
    };
    for (text, step) in [
        ("print a => a", does("print a", "a", &[])),
        (
            "tcp.listen ipv4 => access-denied ! hard.listen",
            does("tcp.listen ipv4", "access-denied", &["hard.listen"]),
        ),
        ("in back", Step::In("back".into())),
    ] {
        assert_eq!(Step::read(text), step, "{text}");
    }
    for (result, expected, fit) in [
        ("ok", "ok", true),
        ("ok", "o", false),
        ("200 hello", "200 *", true),
        ("timeout", "ok | timeout", true),
        ("", "*", true),
    ] {
        assert_eq!(fits(result, expected), fit, "{result} {expected}");
    }
}
