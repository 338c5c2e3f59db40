//! The notes of an export as JSON, and as comments in front of the document.

use outport_policy::text;
use serde::Serialize;

use super::Exported;
use super::notes::{Differs, Note, ShownArea};
use super::request::Target;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    target: &'static str,
    app: &'a str,
    /// What is loaded.
    document: &'a str,
    notes: Vec<ShownNote<'a>>,
}

#[derive(Serialize)]
struct ShownNote<'a> {
    differs: Differs,
    about: &'a str,
    why: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    beyond_addresses: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    destinations: Vec<ShownArea>,
}

/// All of it as one document.
pub(super) fn json(exported: &Exported, document: &str) -> String {
    let document = Document {
        version: 1,
        target: exported.target.as_str(),
        app: &exported.app,
        document,
        notes: exported
            .notes()
            .iter()
            .map(|note| ShownNote {
                differs: note.differs,
                about: &note.about,
                why: &note.why,
                beyond_addresses: note.beyond_addresses,
                destinations: note.shown(),
            })
            .collect(),
    };
    serde_json::to_string_pretty(&document).expect("INVARIANT: strings are JSON") + "\n"
}

/// What stands in front of a document, line by line, without the sign of a comment.
pub(super) fn lines(exported: &Exported) -> Vec<String> {
    let app = text::message(&exported.app).to_string();
    let mut lines = vec![
        format!(
            "What the app {app} may reach, by `outport export --to {}`.",
            exported.target.as_str()
        ),
        "Made anew whenever the app's lists or the operator's change: do not edit.".to_owned(),
        String::new(),
    ];
    match exported.target {
        Target::Cilium => lines.insert(
            2,
            "Cilium has to be 1.16 or later: older ones do not know ranges of ports.".to_owned(),
        ),
        Target::NetworkPolicy => lines.insert(
            2,
            "The network plugin has to know ranges of ports (`endPort`).".to_owned(),
        ),
        Target::Nftables => {}
    }
    if let Some(selected) = selected(exported) {
        lines.insert(lines.len() - 1, selected);
    }
    let (beyond, by_address): (Vec<&Note>, Vec<&Note>) =
        exported.notes().iter().partition(|note| note.beyond_addresses);
    let told = |note: &&Note| {
        let (about, why) = (text::message(&note.about), text::message(&note.why));
        format!("- {}: {about}: {why}", note.differs.as_str())
    };
    if by_address.is_empty() {
        lines.push("By address and port it says just what Outport permits.".to_owned());
    } else {
        lines.push("By address and port it differs from what Outport permits:".to_owned());
    }
    lines.extend(by_address.iter().map(told));
    if !beyond.is_empty() {
        lines.push("Beyond addresses and ports:".to_owned());
    }
    lines.extend(beyond.iter().map(told));
    lines
}

/// Whom it is for.
fn selected(exported: &Exported) -> Option<String> {
    let labels: Vec<String> = exported
        .labels
        .iter()
        .map(|(key, value)| format!("`{}={}`", text::message(key), text::message(value)))
        .collect();
    match exported.target {
        Target::Nftables => None,
        _ if labels.is_empty() => Some("It is for every pod of its namespace.".to_owned()),
        _ => Some(format!(
            "It is for the pods of its namespace that are labelled {}, and for no others.",
            labels.join(" and ")
        )),
    }
}

impl Target {
    /// The word of the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NetworkPolicy => "networkpolicy",
            Self::Cilium => "cilium",
            Self::Nftables => "nftables",
        }
    }
}
