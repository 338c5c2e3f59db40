//! The lists that are there, and the manifest with what is missing in them.
//!
//! A component's list is `allowed_outbound_hosts` in its table, that of a dependency the same in the dependency's. Lists of
//! middleware are shown and not written.

use std::path::{Path, PathBuf};

use outport_check::learn::{Comparison, Fold, Seen};
use outport_check::{Diagnostic, FixError, ListEdit, edit_lists};
use outport_manifest::{ComponentId, Manifest, Part, SourceFile};
use outport_policy::{Entry, Location, text};

use super::Then;
use crate::app_options::AppOptions;
use crate::app_problem::check_component;
use crate::commands::single::name;
use crate::failure::Failure;
use crate::files::Files;
use crate::manifest_writer::Change;
use crate::terminal::Terminal;

/// The lists of an app or of a component.
pub(super) struct Lists {
    lists: Vec<List>,
    of: Of,
    /// True if these are all that there are.
    are_all: bool,
}

/// One list, with its entries.
struct List {
    /// The component, or `COMPONENT/PART`.
    name: String,
    entries: Vec<Entry>,
    /// The table of the manifest that has it; none where it cannot be written.
    table: Option<Vec<String>>,
}

/// What has the lists.
enum Of {
    App(SourceFile),
    Component(PathBuf),
    Nothing,
}

impl Lists {
    /// The lists of an app, of these components or of all.
    pub(super) fn of_app(app: &AppOptions, wanted: &[ComponentId], then: Then) -> Result<Self, Failure> {
        if let Some(artifact) = app.artifact().filter(|_| then == Then::Write) {
            let reference = &artifact.reference;
            let error = Diagnostic::error("a manifest from a registry cannot be changed");
            return Err(Failure::unusable(error.helped_by(format!(
                "`outport pull {reference} DIR` makes an app of it that can"
            ))));
        }
        let mut files = Files::default();
        let read = app.read_to_judge(&mut files)?;
        for id in wanted {
            check_component(id, &read.manifest)?;
        }
        let wants = |id: &ComponentId| wanted.is_empty() || wanted.contains(id);
        let components = read
            .components()
            .filter(|(component, _)| wants(&component.id.value));
        let mut lists: Vec<List> = components
            .map(|(component, entries)| List {
                name: component.id.value.to_string(),
                entries: entries.to_vec(),
                table: Some(vec!["component".to_owned(), component.id.value.to_string()]),
            })
            .collect();
        let parts = read.parts().filter(|(part, _)| wants(part.component));
        lists.extend(parts.filter_map(|(part, entries)| {
            Some(List {
                name: format!("{}/{}", part.component, part.name),
                entries: entries?.to_vec(),
                table: table_of(&part, &read.manifest),
            })
        }));
        Ok(Self {
            lists,
            of: Of::App(read.manifest.source.clone()),
            are_all: wanted.is_empty(),
        })
    }

    /// The list of a component that has no manifest.
    pub(super) fn of_component(path: &Path, entries: Vec<Entry>) -> Self {
        let list = List {
            name: name(path),
            entries,
            table: None,
        };
        Self {
            lists: vec![list],
            of: Of::Component(path.to_owned()),
            are_all: true,
        }
    }

    /// No lists: what is seen is shown alone.
    pub(super) fn of_nothing() -> Self {
        Self {
            lists: Vec::new(),
            of: Of::Nothing,
            are_all: false,
        }
    }

    /// True if they stand in a manifest.
    pub(super) fn have_a_manifest(&self) -> bool {
        matches!(self.of, Of::App(_))
    }

    /// The manifest, or the component.
    pub(super) fn path(&self) -> &Path {
        match &self.of {
            Of::App(source) => source.path(),
            Of::Component(path) => path,
            Of::Nothing => Path::new("spin.toml"),
        }
    }

    /// The component without a manifest, if it is one.
    pub(super) fn component(&self) -> Option<&Path> {
        match &self.of {
            Of::Component(path) => Some(path),
            _ => None,
        }
    }

    /// Holds what was seen against each list, and against none what nobody here has a list for.
    pub(super) fn compare<'a>(&'a self, seen: &'a Seen, fold: Fold) -> Vec<Comparison<'a>> {
        let own = self
            .lists
            .iter()
            .map(|list| (list.name.as_str(), list.entries.as_slice()));
        let known = |name: &str| self.lists.iter().any(|list| list.name == name);
        // Of an app that is there the others are not meant.
        let others = seen
            .lists()
            .filter(|name| !known(name) && matches!(self.of, Of::Nothing));
        own.chain(others.map(|name| (name, [].as_slice())))
            .map(|(name, entries)| {
                let (uses, tried) = (seen.uses_of(name), seen.tried_of(name));
                Comparison::of(name, entries, (&uses, &tried), fold)
            })
            .collect()
    }

    /// Tells of what was seen and belongs to no list that is here: a log may be that of another app.
    pub(super) fn warn_of_strangers(&self, seen: &Seen, terminal: Terminal) {
        let known = |name: &&str| self.lists.iter().any(|list| list.name == *name);
        let strangers = seen.lists().filter(|name| self.are_all && !known(name));
        for name in strangers.take(MOST_STRANGERS) {
            let shown = text::message(name).to_string();
            let warning = Diagnostic::warning(format!("`{shown}` used hosts, and has no list here"));
            terminal.show(&warning, &Files::default());
        }
    }

    /// The manifest as it is, and as it is to be.
    pub(super) fn change(
        &self,
        comparisons: &[Comparison<'_>],
        prune: bool,
        terminal: Terminal,
    ) -> Result<Change, Failure> {
        let Of::App(source) = &self.of else {
            return Err(Failure::unusable(Diagnostic::error(
                "there is no `spin.toml` to change",
            )));
        };
        let mut edits = Vec::new();
        for (list, comparison) in self.lists.iter().zip(comparisons) {
            let add = comparison.additions(prune);
            let remove = if prune {
                removed(&list.entries, comparison)
            } else {
                Vec::new()
            };
            if add.is_empty() && remove.is_empty() {
                continue;
            }
            let edit = list.table.as_ref().map(|table| ListEdit {
                table: table.clone(),
                key: "allowed_outbound_hosts".to_owned(),
                remove,
                add: add.clone(),
            });
            // One that stands in its trigger has no table of its own. The others are written all the same.
            match edit.filter(|edit| has_its_table(source, edit)) {
                Some(edit) => edits.push(edit),
                None => say_that_it_is_not_written(&list.name, &add, terminal),
            }
        }
        let after = edit_lists(source.text(), &edits).map_err(|error| {
            let shown = text::path(source.path());
            Failure::unusable(Diagnostic::error(format!(
                "nothing can be changed in `{shown}` as it is written: {error}"
            )))
        })?;
        refuse_what_is_no_manifest(source, &after)?;
        Ok(Change {
            before: source.text().to_owned(),
            after,
        })
    }
}

/// True unless the manifest has no such table.
fn has_its_table(source: &SourceFile, edit: &ListEdit) -> bool {
    let alone = edit_lists(source.text(), std::slice::from_ref(edit));
    !matches!(alone, Err(FixError::NoSuchTable(_)))
}

fn say_that_it_is_not_written(list: &str, add: &[String], terminal: Terminal) {
    let name = text::message(list).to_string();
    let warning = Diagnostic::warning(format!("the list of `{name}` is not written by this command"));
    let help = if add.is_empty() {
        "take out by hand what is told above".to_owned()
    } else {
        format!("write it by hand: {}", quoted(add))
    };
    terminal.show(&warning.helped_by(help), &Files::default());
}

/// Where entries stand that a pruned list does not have. What one item of an older list stands for is taken out together.
fn removed(all: &[Entry], comparison: &Comparison<'_>) -> Vec<std::ops::Range<usize>> {
    let needless: Vec<&Entry> = comparison.needless().collect();
    let is_needless = |entry: &Entry| needless.iter().any(|own| std::ptr::eq(*own, entry));
    let stays = |location: &Location| {
        let mut there = all.iter().filter(|entry| entry.location() == location);
        there.any(|entry| !is_needless(entry))
    };
    let mut spans: Vec<std::ops::Range<usize>> = needless
        .iter()
        .filter(|entry| !stays(entry.location()))
        .filter_map(|entry| match entry.location() {
            Location::File { span, .. } => Some(span.clone()),
            _ => None,
        })
        .collect();
    spans.sort_by_key(|span| span.start);
    spans.dedup();
    spans
}

/// The table of a dependency's list.
fn table_of(part: &Part<'_>, manifest: &Manifest) -> Option<Vec<String>> {
    part.dependency?;
    let written = manifest.source.slice(part.span).trim_matches(['"', '\'']);
    let table = ["component", part.component.as_str(), "dependencies", written];
    Some(table.map(str::to_owned).to_vec())
}

/// What was written by hand in a way that nobody foresaw is not to be broken.
fn refuse_what_is_no_manifest(source: &SourceFile, after: &str) -> Result<(), Failure> {
    let changed = SourceFile::new(source.path(), after.to_owned());
    let Err(wrong) = Manifest::parse(&changed).complete() else {
        return Ok(());
    };
    let first = wrong.0.first().map(ToString::to_string).unwrap_or_default();
    let shown = text::path(source.path());
    Err(Failure::unusable(Diagnostic::error(format!(
        "nothing can be changed in `{shown}` as it is written: {first}"
    ))))
}

fn quoted(entries: &[String]) -> String {
    let entries: Vec<String> = entries.iter().map(|entry| format!("\"{entry}\"")).collect();
    entries.join(", ")
}

/// So many are told of.
const MOST_STRANGERS: usize = 10;
