//! The entries of `allowed_outbound_hosts`: from the text in the manifest to [`outport_policy::Entry`].
//!
//! An entry without `{{ … }}` is parsed while the manifest is read, and its mistakes are problems of the manifest.
//! One with variables waits until these have values ([`Component::outbound_entries`], AL-8):
//!
//! | filled in | then |
//! | --- | --- |
//! | nothing but white space | left out, with a note |
//! | a scheme and nothing behind it (`https://`) | left out, with a note |
//! | an entry | permitted; if a secret is in it, it is shown as it is written, and a warning says what is shown all the same |
//! | anything else | a problem that names entry, variables and values (`***` for a secret one) |

use std::collections::BTreeSet;

use outport_policy::{Entry, EntryError, Location};

use crate::reading::component::{Component, read_template};
use crate::reading::fields::Node;
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::report::problem::{Area, Note, Problem, Reading};
use crate::report::remark::Remark;
use crate::source::Located;
use crate::template::{Template, TemplateError};
use crate::values::filled_in::FilledIn;
use crate::values::variable::VariableName;
use crate::variables::Variables;

/// One string of `allowed_outbound_hosts`.
#[derive(Debug, Clone)]
pub struct OutboundEntry {
    /// The string as it is written, variables not filled in.
    pub text: Located<String>,
    /// Its place.
    pub location: Location,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Literal(Entry),
    /// Made of an item of `allowed_http_hosts`, which may have others.
    Converted(Entry),
    Template(Located<Template>),
    /// Neither; that was reported.
    Wrong,
}

impl OutboundEntry {
    /// An entry that is not written as one.
    pub(crate) fn converted(text: Located<String>, entry: Entry) -> Self {
        Self {
            text,
            location: entry.location().clone(),
            form: Form::Converted(entry),
        }
    }

    /// The entry, if it is one and holds no variables.
    pub fn literal(&self) -> Option<&Entry> {
        match &self.form {
            Form::Literal(entry) | Form::Converted(entry) => Some(entry),
            Form::Template(_) | Form::Wrong => None,
        }
    }

    /// The entry as a template, if it holds variables.
    pub fn template(&self) -> Option<&Located<Template>> {
        match &self.form {
            Form::Template(template) => Some(template),
            Form::Literal(_) | Form::Converted(_) | Form::Wrong => None,
        }
    }
}

impl Component {
    /// The places of the items of `allowed_http_hosts`. The entries there were made of them: nobody wrote those, and an
    /// item may have several.
    pub fn converted_items(&self) -> impl Iterator<Item = &Location> {
        let converted = |entry: &&OutboundEntry| matches!(entry.form, Form::Converted(_));
        let entries = self.allowed_outbound_hosts.iter().filter(converted);
        entries.map(|entry| &entry.location)
    }

    /// All entries of `allowed_outbound_hosts` with the variables filled in, in the order of the file.
    ///
    /// An entry whose variable has no value is left out with a note; that it has none is for
    /// [`Variables::resolve`] to report.
    pub fn outbound_entries(&self, variables: &Variables) -> Reading<Vec<Entry>> {
        OutboundEntry::fill_in_all(&self.allowed_outbound_hosts, variables)
    }
}

impl OutboundEntry {
    /// Entries with the variables filled in.
    pub(crate) fn fill_in_all(list: &[Self], variables: &Variables) -> Reading<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut problems = Vec::new();
        let mut notes = Vec::new();
        for written in list {
            let location = written.location.clone();
            let filled = match &written.form {
                Form::Literal(entry) | Form::Converted(entry) => Filled::Entry(entry.clone()),
                Form::Template(template) => fill_in(&template.value, variables, &location),
                Form::Wrong => continue,
            };
            match filled {
                Filled::Entry(entry) => entries.push(entry),
                Filled::SecretEntry(entry, remark) => {
                    entries.push(entry);
                    notes.push(Note {
                        area: Area::Manifest,
                        remark,
                        location,
                    });
                }
                Filled::LeftOut(remark) => notes.push(Note {
                    area: Area::Manifest,
                    remark,
                    location,
                }),
                Filled::Wrong(mistake) => problems.push(Problem {
                    area: Area::Manifest,
                    mistake,
                    location,
                }),
            }
        }
        Reading::new(entries, problems, notes)
    }
}

/// Variables whose values a message shows.
const MOST_SHOWN: usize = 8;

/// The result of filling in an entry with variables.
enum Filled {
    Entry(Entry),
    SecretEntry(Entry, Remark),
    LeftOut(Remark),
    Wrong(Mistake),
}

fn fill_in(template: &Template, variables: &Variables, location: &Location) -> Filled {
    let text = match template.resolve(variables) {
        Ok(text) => text,
        Err(TemplateError::NoValue { name }) => {
            let (template, variable) = (template.to_string(), name.to_string());
            return Filled::LeftOut(Remark::UnresolvedEntry { template, variable });
        }
        Err(error) => {
            let template = template.to_string();
            return Filled::Wrong(Mistake::LongEntry { template, error });
        }
    };
    if let Some(left) = what_is_left_of_an_optional_endpoint(text.expose()) {
        return Filled::LeftOut(Remark::EmptyEntry {
            template: template.to_string(),
            left,
        });
    }
    let entry = if text.is_secret() {
        Entry::parse_shown_as(text.expose(), template.as_str(), location.clone())
    } else {
        Entry::parse_filled_in(text.expose(), location.clone())
    };
    match entry {
        Ok(entry) if text.is_secret() => Filled::SecretEntry(
            entry,
            Remark::SecretInEntry {
                template: template.to_string(),
            },
        ),
        Ok(entry) => Filled::Entry(entry),
        Err(error) => {
            let names: BTreeSet<&VariableName> = template.variables().map(|(name, _)| name).collect();
            let used = names
                .into_iter()
                .take(MOST_SHOWN)
                .filter_map(|name| variables.get(name).map(|value| (name.clone(), value.clone())));
            let error = (!text.is_secret()).then_some(error);
            Filled::Wrong(Mistake::FilledEntry(FilledIn {
                template: template.to_string(),
                values: used.collect(),
                error,
            }))
        }
    }
}

/// Words for a text that names no destination: the endpoint was optional and is not there.
fn what_is_left_of_an_optional_endpoint(text: &str) -> Option<&'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Some("nothing");
    }
    let (scheme, rest) = text.split_once("://")?;
    (!scheme.is_empty() && matches!(rest, "" | "/")).then_some("only a scheme")
}

/// Reads `allowed_outbound_hosts`.
pub(crate) fn read_entries(found: &mut Findings, node: Node<'_>) -> Vec<OutboundEntry> {
    let texts = node.strings(found);
    texts.into_iter().map(|text| read_entry(found, text)).collect()
}

fn read_entry(found: &mut Findings, text: Located<String>) -> OutboundEntry {
    let location = found.source().location(&text.span);
    let form = match read_template(found, &text) {
        Some(template) if !template.value.is_literal() => Form::Template(template),
        Some(_) => parse_entry(found, &text).map_or(Form::Wrong, Form::Literal),
        None => Form::Wrong,
    };
    OutboundEntry { text, location, form }
}

/// An entry without variables. What is wrong with it is reported at the part that is wrong.
fn parse_entry(found: &mut Findings, text: &Located<String>) -> Option<Entry> {
    let location = found.source().location(&text.span);
    kept(found, text, Entry::parse(&text.value, location))
}

/// The same of the operator's deny list.
pub(crate) fn parse_denied_entry(found: &mut Findings, text: &Located<String>) -> Option<Entry> {
    let location = found.source().location(&text.span);
    let parsed = Entry::parse(&text.value, location).map_err(EntryError::in_a_deny_list);
    kept(found, text, parsed)
}

fn kept(found: &mut Findings, text: &Located<String>, parsed: Result<Entry, EntryError>) -> Option<Entry> {
    match parsed {
        Ok(entry) => Some(entry),
        Err(error) => {
            let span = found.source().part_of(&text.span, &text.value, &error.span());
            found.report(&span, Mistake::Entry(error));
            None
        }
    }
}
