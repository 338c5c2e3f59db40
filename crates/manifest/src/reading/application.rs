//! The part of a manifest about the app as a whole: `[application]`.

use crate::reading::component::note_not_used;
use crate::reading::fields::Node;
use crate::reading::other_tools::{read_targets, read_tool};
use crate::reading::trigger::event::{EventKind, EventSettings};
use crate::reading::trigger::{mqtt, redis, report_slip};
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::source::Located;

/// The app as a whole.
#[derive(Debug, Clone, Default)]
pub struct Application {
    /// Its name; empty only where it could not be read.
    pub name: Located<String>,
    /// Its version.
    pub version: Option<Located<String>>,
    /// The purpose of the app.
    pub description: Option<Located<String>>,
    /// The authors of the app.
    pub authors: Vec<Located<String>>,
}

/// Reads `[application]`: the app, and what it has for all triggers of a type.
pub(crate) fn read_application(found: &mut Findings, node: Node<'_>) -> (Application, EventSettings) {
    let mut settings = EventSettings::default();
    let Some(mut fields) = node.table(found, "`[application]`") else {
        return (Application::default(), settings);
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
    };
    if let Some(node) = fields.get("trigger") {
        settings = read_trigger_settings(found, node);
    }
    if let Some(node) = fields.get("targets") {
        read_targets(found, node);
    }
    if let Some(node) = fields.get("tool") {
        read_tool(found, node);
    }
    fields.finish(found);
    (application, settings)
}

/// Settings for all triggers of a type: `[application.trigger.http]`.
fn read_trigger_settings(found: &mut Findings, node: Node<'_>) -> EventSettings {
    let mut settings = EventSettings::default();
    for (kind, node) in node.named(found) {
        let Some(mut fields) = node.table(found, format!("`[application.trigger.{}]`", kind.value)) else {
            continue;
        };
        match kind.value.as_str() {
            "http" => {
                if let Some(node) = fields.get("base") {
                    read_base(found, node);
                }
                fields.finish(found);
            }
            "command" => {}
            "redis" => settings.redis = redis::read_settings(found, fields),
            "mqtt" => settings.mqtt = mqtt::read_settings(found, fields),
            other if EventKind::of(other).is_some() => drop(fields.finish(found)),
            _ if report_slip(found, &kind) => {}
            _ => note_not_used(found, node, "nothing serves triggers of this type"),
        }
    }
    settings
}

/// Spin 4 has no base path any more, and refuses all but the one that does nothing.
fn read_base(found: &mut Findings, node: Node<'_>) {
    let Some(base) = node.string(found) else { return };
    if base.value == "/" {
        return note_not_used(found, node, "every route begins at `/` already");
    }
    found.report(
        &base.span,
        Mistake::Unsupported {
            key: "base".into(),
            consequence: ", as in Spin 4: each route would be at another path",
            help: "write it in front of each `route`, and remove `base`",
        },
    );
}
