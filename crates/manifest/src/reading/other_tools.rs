//! The parts of a manifest for other tools: `build`, `profile`, `targets` and `tool`.
//!
//! It is read as Spin reads it, so that what Spin refuses is refused, at its place. Nothing of it decides how the app
//! runs here, and nothing is said about it: a manifest that has it lacks nothing. `build` is what `outport build` and
//! `outport watch` do; the rest is for other programs.

use crate::reading::component::read_environment;
use crate::reading::component_source::read_source;
use crate::reading::dependency::{check_dependencies, read_dependencies};
use crate::reading::fields::Node;
use crate::report::findings::Findings;
use crate::source::Located;

/// The build of a component's file: `[component.ID.build]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The commands, in the order in which they run.
    pub commands: Vec<Located<String>>,
    /// The directory that they run in, relative to the manifest. By default the manifest's own.
    pub workdir: Option<Located<String>>,
    /// Patterns of the files that they read, relative to that directory.
    pub watch: Vec<Located<String>>,
}

/// Reads `build`: a table, or the commands alone.
pub(crate) fn read_build(found: &mut Findings, node: Node<'_>) -> Option<Build> {
    if node.is_array() {
        let commands = node.strings(found);
        return Some(Build {
            commands,
            workdir: None,
            watch: Vec::new(),
        });
    }
    if !node.is_table() {
        return node.wrong_type(found, "a table, or an array of commands");
    }
    let mut fields = node.table(found, "`build`")?;
    let command = fields.require(found, "command");
    let build = Build {
        commands: command.map_or_else(Vec::new, |node| read_commands(found, node)),
        workdir: fields.get("workdir").and_then(|node| node.string(found)),
        watch: fields
            .get("watch")
            .map(|node| node.strings(found))
            .unwrap_or_default(),
    };
    fields.finish(found);
    Some(build)
}

fn read_commands(found: &mut Findings, node: Node<'_>) -> Vec<Located<String>> {
    match node.is_array() {
        true => node.strings(found),
        false if node.is_string() => node.string(found).into_iter().collect(),
        false => node
            .wrong_type(found, "a command, or an array of commands")
            .unwrap_or_default(),
    }
}

/// Reads `profile`: what is other in a build of a certain kind.
pub(crate) fn read_profiles(found: &mut Findings, node: Node<'_>) {
    for (name, node) in node.named(found) {
        let Some(mut fields) = node.table(found, format!("the profile `{}`", name.value)) else {
            continue;
        };
        if let Some(node) = fields.get("source") {
            read_source(found, node);
        }
        if let Some(node) = fields.get("environment") {
            read_environment(found, node);
        }
        if let Some(node) = fields.get("dependencies") {
            let dependencies = read_dependencies(found, Some(node), None);
            check_dependencies(found, &dependencies);
        }
        if let Some(mut build) = fields.get("build").and_then(|node| node.table(found, "`build`")) {
            if let Some(node) = build.require(found, "command") {
                read_commands(found, node);
            }
            build.finish(found);
        }
        fields.finish(found);
    }
}

/// Reads `targets`: environments by name, by `{ url }` or by `{ path }`.
pub(crate) fn read_targets(found: &mut Findings, node: Node<'_>) {
    for item in node.items(found, "an array of environments") {
        if item.is_string() {
            continue;
        }
        if !item.is_table() {
            item.wrong_type::<()>(found, "a name, `{ url = \"…\" }` or `{ path = \"…\" }`");
            continue;
        }
        let Some(mut fields) = item.table(found, "an item of `targets`") else {
            continue;
        };
        match fields.get("url") {
            Some(node) => drop(node.string(found)),
            None => drop(fields.require(found, "path").and_then(|node| node.string(found))),
        }
        fields.finish(found);
    }
}

/// Reads `tool`: a table for each of other programs.
pub(crate) fn read_tool(found: &mut Findings, node: Node<'_>) {
    for (_, node) in node.named(found) {
        node.named(found);
    }
}
