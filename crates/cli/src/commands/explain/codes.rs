//! Codes among what `outport explain` is asked about: how they are told from destinations, and what is said of them.
//!
//! | written | is |
//! | --- | --- |
//! | `allow.port`, `[allow.port]`, `warning[entry.blocked]` | the code |
//! | `allow.prot` | a mistake, with the code that was meant |
//! | `allow.port.`, `https://allow.port` | a host of this name |
//! | a path at which an app or component is | a mistake, since apps are named with `-f` |
//! | anything else | a destination |
//!
//! A code has neither a `:` nor a `/`, and a host could be called like one: so the dot at the end of a name, which makes it
//! absolute anyway, is the way out.

use std::ffi::OsStr;
use std::path::Path;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Command};
use outport_check::{CodePage, Diagnostic, codes_json, codes_list};
use outport_policy::text;

use super::{Asked, Format, Options, columns};
use crate::appearance::Appearance;
use crate::failure::Failure;

/// Reads what is asked about. To scripts that complete commands it names the codes.
#[derive(Clone)]
pub(super) struct AskedParser;

impl TypedValueParser for AskedParser {
    type Value = Asked;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Asked, clap::Error> {
        let invalid = || clap::Error::new(ErrorKind::InvalidUtf8).with_cmd(command);
        value.to_str().map(asked).ok_or_else(invalid)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let codes = CodePage::all().iter();
        Some(Box::new(codes.map(|page| PossibleValue::new(page.code.as_str()))))
    }
}

fn asked(text: &str) -> Asked {
    if let Some(page) = CodePage::of(text) {
        return Asked::Code(page);
    }
    if CodePage::meant(text).is_some() || names_an_app(text) {
        return Asked::Neither(text.to_owned());
    }
    Asked::Destination(text.parse())
}

/// True of a path at which an app or a component is. A directory that is called like a host is not one: it is written `./NAME`.
fn names_an_app(text: &str) -> bool {
    let path = Path::new(text);
    let is_no_host = text.contains('/') || text.chars().all(|letter| letter == '.');
    let is_file = || [".toml", ".wasm"].iter().any(|ending| text.ends_with(ending)) && path.is_file();
    (is_no_host && path.join("spin.toml").is_file()) || is_file()
}

impl Options {
    /// What is said of codes, if nothing else is asked about.
    pub(super) fn explained_codes(&self) -> Result<Option<String>, Failure> {
        if self.list {
            let pages = CodePage::all();
            return Ok(Some(match self.format {
                Format::Human => codes_list(pages, columns()),
                Format::Json => codes_json(pages),
            }));
        }
        let mut pages = Vec::new();
        for asked in &self.destinations {
            match asked {
                Asked::Neither(text) => return Err(Failure::unusable(nothing_to_explain(text))),
                Asked::Code(page) => pages.push((*page).clone()),
                Asked::Destination(_) => {}
            }
        }
        let Some(first) = pages.first() else {
            return Ok(None);
        };
        let is_of_an_app = self.component.is_some() || !self.dns.is_empty();
        if pages.len() < self.destinations.len() || is_of_an_app {
            return Err(Failure::unusable(not_by_itself(&first.code)));
        }
        let colours = Appearance::of_standard_output().colours;
        Ok(Some(match self.format {
            Format::Human => {
                let texts = pages.iter().map(|page| page.to_text(columns(), colours));
                texts.collect::<Vec<_>>().join("\n")
            }
            Format::Json => codes_json(&pages),
        }))
    }
}

fn not_by_itself(code: &str) -> Diagnostic {
    let error = Diagnostic::error(format!(
        "`{code}` is a code, which means the same for every app, and is explained by itself"
    ));
    error.helped_by(format!(
        "`outport explain {code}` explains it; a host of this name is written `{code}.`"
    ))
}

fn nothing_to_explain(written: &str) -> Diagnostic {
    let shown = text::quote(written);
    if let Some(meant) = CodePage::meant(written) {
        return Diagnostic::error(format!("there is no code `{shown}`")).helped_by(format!(
            "did you mean `{meant}`? `outport explain --list` lists all; a host of this name is written `{shown}.`"
        ));
    }
    let error = Diagnostic::error(format!("`{shown}` is a path, not a destination"));
    error.helped_by(if written.ends_with(".wasm") {
        "an app is explained, with `-f DIR_OR_FILE`, and not the component alone".to_owned()
    } else {
        format!("the app there is explained with `outport explain -f {shown}`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_from_destinations() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("spin.toml"), "").unwrap();
        std::fs::write(folder.path().join("a.wasm"), "").unwrap();
        let there = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let rows = [
            ("allow.port".to_owned(), "code"),
            ("[allow.port]".into(), "code"),
            ("manifest.unknown-key".into(), "code"),
            ("allow.port.".into(), "destination"),
            ("https://allow.port".into(), "destination"),
            ("tcp://allow.port:80".into(), "destination"),
            ("allow.prot".into(), "neither"),
            ("allow.prot.".into(), "destination"),
            ("db.example.com".into(), "destination"),
            ("http.test".into(), "destination"),
            ("key-value:default".into(), "destination"),
            ("/path/of/the/app".into(), "destination"),
            (there("."), "neither"),
            (there("spin.toml"), "neither"),
            (there("a.wasm"), "neither"),
            (there("none.wasm"), "destination"),
        ];
        for (written, expected) in rows {
            let is = match asked(&written) {
                Asked::Code(_) => "code",
                Asked::Destination(_) => "destination",
                Asked::Neither(_) => "neither",
            };
            assert_eq!(is, expected, "{written}");
        }
    }

    #[test]
    fn scripts_complete_every_code() {
        let values: Vec<_> = AskedParser.possible_values().unwrap().collect();
        assert_eq!(values.len(), CodePage::all().len());
        let hosts = values
            .iter()
            .filter(|value| value.get_name().contains([':', '/']));
        assert_eq!(hosts.count(), 0);
    }
}
