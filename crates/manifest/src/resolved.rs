//! An app with the values of its variables filled in.
//!
//! ```text
//! spin.toml ─► Reading<Manifest> ─┐                     ┌─► complete:  to run it, or all that is wrong
//! options, environment, files ────┴─► ResolvedApp ──────┴─► tentative: to look for more of what is wrong
//! ```

use outport_policy::Entry;

use crate::manifest::Manifest;
use crate::parts::Part;
use crate::reading::component::Component;
use crate::reading::entries::OutboundEntry;
use crate::report::mistake::Mistake;
use crate::report::problem::{Note, Problem, Problems, Reading};
use crate::values::identifier::ComponentId;
use crate::values::variable::VariableName;
use crate::variables::{GivenVariables, Variables};

/// An app: what is written, the values of its variables, and what each component may reach by it.
#[derive(Debug, Clone)]
pub struct ResolvedApp {
    /// The manifest as it is written.
    pub manifest: Manifest,
    /// The value of each variable.
    pub variables: Variables,
    /// The entries of each component, in the order of the manifest.
    entries: Vec<Vec<Entry>>,
    /// The entries of each part, in the order of [`Manifest::parts`]; none, where it has no list.
    parts: Vec<Option<Vec<Entry>>>,
}

/// The result of resolving an app: as much of it as could be read, all problems and all notes, part by part.
#[derive(Debug, Clone)]
#[must_use]
pub struct AppReading {
    app: ResolvedApp,
    manifest: Reading<()>,
    variables: Reading<()>,
    entries: Vec<Reading<()>>,
    parts: Vec<Reading<()>>,
    /// Values that are missing, and that no entry needs.
    wanted_to_run: Vec<Problem>,
}

impl ResolvedApp {
    /// Gives every variable its value, and fills them in where hosts are allowed.
    pub fn resolve(manifest: Reading<Manifest>, given: &GivenVariables) -> AppReading {
        let (written, manifest) = manifest.split();
        let resolved = Variables::resolve(&written.variables, given, &written.source);
        let (values, variables) = resolved.split();
        let (wanted_to_run, variables) = variables.divide(|problem| {
            matches!(&problem.mistake, Mistake::VariableNotSet { name, .. } if !is_in_an_entry(name, &written))
        });
        let components = written.components.iter();
        let (filled_in, entries) = components
            .map(|component| component.outbound_entries(&values).split())
            .unzip();
        let parts = written.parts();
        let parts = parts.iter().map(|part| match part.allowed_outbound_hosts {
            None => (None, Reading::new((), Vec::new(), Vec::new())),
            Some(list) => {
                let (entries, told) = OutboundEntry::fill_in_all(list, &values).split();
                (Some(entries), told)
            }
        });
        let (of_parts, parts) = parts.unzip();
        AppReading {
            app: Self {
                manifest: written,
                variables: values,
                entries: filled_in,
                parts: of_parts,
            },
            manifest,
            variables,
            entries,
            parts,
            wanted_to_run,
        }
    }

    /// Each component with its entries, in the order of the manifest.
    pub fn components(&self) -> impl Iterator<Item = (&Component, &[Entry])> {
        let entries = self.entries.iter().map(Vec::as_slice);
        self.manifest.components.iter().zip(entries)
    }

    /// Each part of a component with its entries, if it has a list of its own, in the order of [`Manifest::parts`].
    pub fn parts(&self) -> impl Iterator<Item = (Part<'_>, Option<&[Entry]>)> {
        let entries = self.parts.iter().map(Option::as_deref);
        self.manifest.parts().into_iter().zip(entries)
    }

    /// The same app, in which every component may reach what `entries` say beside what its author says, and so may each part
    /// that has a list of its own. A part that inherits no hosts still has none.
    #[must_use]
    pub fn with_entries_for_all(mut self, entries: &[Entry]) -> Self {
        let parts = self.parts.iter_mut().flatten();
        for list in self.entries.iter_mut().chain(parts) {
            list.extend_from_slice(entries);
        }
        self
    }

    /// The entries of a component by its author's word: nothing, if the app has no such component.
    pub fn entries_of(&self, id: &ComponentId) -> &[Entry] {
        self.components()
            .find(|(component, _)| component.id.value == *id)
            .map_or(&[], |(_, entries)| entries)
    }
}

impl AppReading {
    /// The app, if nothing was wrong, with all notes.
    ///
    /// # Errors
    /// All that was wrong. Where the manifest has mistakes, they are all: what is wrong with values may come of them.
    pub fn complete(self) -> Result<(ResolvedApp, Vec<Note>), Problems> {
        let missing = self.wanted_to_run.clone();
        self.complete_but_for(missing)
    }

    /// The same for asking what the app may reach: a value that is [wanted to run](Self::wanted_to_run) may be missing.
    /// The app cannot be run then.
    ///
    /// # Errors
    /// As those of [`complete`](Self::complete).
    pub fn complete_to_judge(self) -> Result<(ResolvedApp, Vec<Note>), Problems> {
        self.complete_but_for(Vec::new())
    }

    fn complete_but_for(self, missing: Vec<Problem>) -> Result<(ResolvedApp, Vec<Note>), Problems> {
        let wrong: Vec<Problem> = match self.manifest.problems() {
            [] => {
                let others = self.parts().flat_map(Reading::problems).cloned();
                missing.into_iter().chain(others).collect()
            }
            wrong => wrong.to_vec(),
        };
        if wrong.is_empty() {
            let notes = self.notes().cloned().collect();
            Ok((self.app, notes))
        } else {
            Err(Problems(wrong))
        }
    }

    /// The part that could be read despite the problems, for looking for more of them. It has gaps then: never run it.
    pub fn tentative(&self) -> &ResolvedApp {
        &self.app
    }

    /// The problems of the manifest, whatever the values are.
    pub fn problems_of_manifest(&self) -> &[Problem] {
        self.manifest.problems()
    }

    /// The values that are missing and that no entry needs: without them the app does not start, and what it may reach
    /// is known all the same. They are none of the [parts](Self::parts).
    pub fn wanted_to_run(&self) -> &[Problem] {
        &self.wanted_to_run
    }

    /// All that is worth saying.
    pub fn notes(&self) -> impl Iterator<Item = &Note> {
        self.parts().flat_map(Reading::notes)
    }

    /// The messages about each part: the manifest, the variables, and the entries of each component and of each of its
    /// parts.
    pub fn parts(&self) -> impl Iterator<Item = &Reading<()>> {
        let whole = [&self.manifest, &self.variables].into_iter();
        whole.chain(&self.entries).chain(&self.parts)
    }

    /// The messages about the entries of each component, in the order of the manifest.
    pub fn parts_of_entries(&self) -> &[Reading<()>] {
        &self.entries
    }
}

/// True if what some component may reach depends on the variable.
fn is_in_an_entry(name: &VariableName, manifest: &Manifest) -> bool {
    let entries = manifest
        .components
        .iter()
        .flat_map(|component| &component.allowed_outbound_hosts);
    let parts = manifest.parts();
    let of_parts = parts
        .iter()
        .filter_map(|part| part.allowed_outbound_hosts)
        .flatten();
    entries
        .chain(of_parts)
        .filter_map(OutboundEntry::template)
        .flat_map(|template| template.value.variables())
        .any(|(used, _)| used == name)
}
