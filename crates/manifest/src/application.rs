//! What a manifest says about the app as a whole: `[application]`.

use crate::component::note_not_used;
use crate::fields::Node;
use crate::findings::Findings;
use crate::source::Located;

/// The app as a whole.
#[derive(Debug, Clone, Default)]
pub struct Application {
    /// Its name; empty only where it could not be read.
    pub name: Located<String>,
    /// Its version.
    pub version: Option<Located<String>>,
    /// What it is for.
    pub description: Option<Located<String>>,
    /// Who wrote it.
    pub authors: Vec<Located<String>>,
    /// `base` of `[application.trigger.http]`: a path that every route starts with.
    pub http_base: Option<Located<String>>,
}

/// Reads `[application]`.
pub(crate) fn read_application(found: &mut Findings, node: Node<'_>) -> Application {
    let Some(mut fields) = node.table(found, "`[application]`") else {
        return Application::default();
    };
    let application = Application {
        name: fields
            .require(found, "name")
            .and_then(|node| node.filled_string(found))
            .unwrap_or_default(),
        version: fields.get("version").and_then(|node| node.string(found)),
        description: fields.get("description").and_then(|node| node.string(found)),
        authors: fields
            .get("authors")
            .map(|node| node.strings(found))
            .unwrap_or_default(),
        http_base: fields
            .get("trigger")
            .and_then(|node| read_trigger_settings(found, node)),
    };
    if let Some(node) = fields.get("targets") {
        node.items(found, "an array");
        note_not_used(found, node, "it is for Spin's environments");
    }
    if let Some(node) = fields.get("tool") {
        node.named(found);
        note_not_used(found, node, "it is for other tools");
    }
    fields.finish(found);
    application
}

/// Settings for all triggers of a type: `[application.trigger.http]`.
fn read_trigger_settings(found: &mut Findings, node: Node<'_>) -> Option<Located<String>> {
    let mut base = None;
    for (kind, node) in node.named(found) {
        let Some(mut fields) = node.table(found, format!("`[application.trigger.{}]`", kind.value)) else {
            continue;
        };
        if kind.value == "http" {
            base = fields.get("base").and_then(|node| node.string(found));
            fields.finish(found);
        } else if kind.value != "command" {
            note_not_used(found, node, "only `http` and `command` triggers start anything");
        }
    }
    base
}
