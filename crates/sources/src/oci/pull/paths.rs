//! The paths that the manifest of an artifact names, which are to be of what came with it.

use std::path::Path;

use outport_manifest::{Implementation, Manifest as SpinToml, Source, SourceFile};

use super::super::tree::TreePath;
use super::PullError;

/// A manifest of this machine may name any file of it. One from elsewhere names what came with it: there are no links in
/// its folder, so a path that reads as one below it is. Files for guests are looked for below the folder anyway.
pub(super) fn check_paths(manifest: &Path) -> Result<(), PullError> {
    let text = String::from_utf8_lossy(&std::fs::read(manifest)?).into_owned();
    let of_triggers = paths_of_triggers(&text);
    let reading = SpinToml::parse(&SourceFile::new(manifest, text));
    let components = &reading.tentative().components;
    let sources = components
        .iter()
        .filter_map(|component| match &component.source.value {
            Source::Path(path) => Some(path),
            _ => None,
        });
    let dependencies = components
        .iter()
        .flat_map(|component| &component.dependencies.list);
    let dependencies = dependencies.filter_map(|dependency| match &dependency.implementation.value {
        Implementation::Path(path) => Some(path),
        _ => None,
    });
    let mut paths = sources.chain(dependencies).chain(&of_triggers);
    // The placeholder of what could not be read is for whoever reads the manifest.
    let outside = paths.find(|path| !path.is_empty() && TreePath::parse(path).is_err());
    match outside {
        Some(path) => Err(PullError::LeadsOut {
            path: outport_policy::text::quote(path).to_string(),
        }),
        None => Ok(()),
    }
}

/// Paths of the parts that triggers put before their components. A manifest that cannot be read at all is for whoever
/// reads it.
fn paths_of_triggers(text: &str) -> Vec<String> {
    fn walk(value: &toml::Value, to: &mut Vec<String>) {
        match value {
            toml::Value::Table(table) => {
                for (key, value) in table {
                    match value {
                        toml::Value::String(path) if key == "path" => to.push(path.clone()),
                        value => walk(value, to),
                    }
                }
            }
            toml::Value::Array(values) => values.iter().for_each(|value| walk(value, to)),
            _ => {}
        }
    }
    let written: toml::Table = text.parse().unwrap_or_default();
    let mut paths = Vec::new();
    let triggers = written.get("trigger").and_then(toml::Value::as_table);
    for trigger in triggers
        .into_iter()
        .flatten()
        .flat_map(|(_, list)| list.as_array())
        .flatten()
    {
        if let Some(dependencies) = trigger.get("dependencies") {
            walk(dependencies, &mut paths);
        }
    }
    paths
}
