//! The builds of a session: one component at a time, each by a process of its own.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use outport_manifest::{ComponentId, Manifest};
use tokio::time::Instant;

use super::Session;
use super::messages::names;
use crate::commands::watch::contents::Contents;
use crate::commands::watch::places::Owner;
use crate::commands::watch::process::{End, Process};
use crate::commands::watch::records::{Meaning, Outcome, Recipe, Todo};
use crate::failure::Failure;
use crate::own_process;

/// A component that is being built.
pub(super) struct Building {
    id: ComponentId,
    pub(super) process: Process,
    recipe: Recipe,
    begun: Instant,
    pub(super) is_outdated: bool,
    /// It seems to have written its own sources.
    pub(super) suspicion: Option<Suspicion>,
}

/// Sources have changed during a build, and it was probably the build: it is given time to end, and begins anew where it does
/// not.
pub(super) struct Suspicion {
    /// The files, where it was not known of them.
    new: Vec<PathBuf>,
    pub(super) until: Instant,
}

impl Session<'_> {
    /// Files have changed while a component is built: where it is out of date by that, the build ends.
    pub(super) fn look_at_build(&mut self, building: &mut Building, changed: &mut Vec<PathBuf>) {
        let now = self.seen.of(&Owner::Build(building.id.clone()));
        let sources = &building.recipe.sources;
        if building.is_outdated || now == *sources {
            return self.say_changed(changed);
        }
        let is_late = |suspicion: &Suspicion| Instant::now() >= suspicion.until;
        if building.suspicion.as_ref().is_some_and(is_late) {
            self.records.disown(&building.id);
            return self.build_anew(building, changed);
        }
        let after = building.begun.elapsed();
        let new = match self.records.meaning(&building.id, sources, &now, after) {
            Meaning::Outdated => return self.build_anew(building, changed),
            Meaning::Nothing => Vec::new(),
            Meaning::Own(files) => files,
        };
        changed.retain(|path| !now.contains_key(path) && !sources.contains_key(path));
        self.say_changed(changed);
        let until = Instant::now() + self.records.patience(&building.id);
        let suspicion = building.suspicion.get_or_insert(Suspicion {
            new: Vec::new(),
            until,
        });
        suspicion.new.extend(new);
    }

    fn build_anew(&self, building: &mut Building, changed: &[PathBuf]) {
        building.is_outdated = true;
        self.clear();
        self.say_changed(changed);
        building.process.end_within(POLITE);
    }

    /// True if a build that has ended is to be done again: sources have changed meanwhile. Once more where that seems to be the
    /// build's own doing, so that what somebody else may have changed is built in any case.
    fn is_outdated(&mut self, building: &Building, now: &Contents) -> bool {
        if building.is_outdated {
            return true;
        }
        let suspected = building.suspicion.iter().flat_map(|suspicion| &suspicion.new);
        let mut own: Vec<PathBuf> = suspected.cloned().collect();
        let (sources, after) = (&building.recipe.sources, building.begun.elapsed());
        match self.records.meaning(&building.id, sources, now, after) {
            Meaning::Outdated => return true,
            Meaning::Nothing => {}
            Meaning::Own(files) => own.extend(files),
        }
        if !own.is_empty() {
            let id = &building.id;
            self.terminal.insist(&format!(
                "the build of {id} writes what it watches itself ({}): while it builds, changes of that do not count; better \
                 leave it out of `build.watch`",
                names(&own)
            ));
        }
        !own.is_empty()
    }

    /// Something has changed while nothing is built: it may be what a build has left running.
    pub(super) fn hold_what_a_build_left_running(&mut self) {
        let Some(app) = self.app.sound.take() else { return };
        let recipes: Vec<_> = self
            .todo(&app.manifest)
            .map(|(id, recipe, _)| (id.clone(), recipe))
            .collect();
        self.app.sound = Some(app);
        for (id, recipe) in recipes {
            let held = self.records.changed_after_build(&id, &recipe, Instant::now());
            let Some(held) = held else { continue };
            let remark = format!(
                "{} changes again and again right after the build of {id}, as if that had left something running: {id} is built \
                 when something else changes, or that has not changed for a while",
                names(&held)
            );
            if !self.said.contains(&remark) {
                self.terminal.insist(&remark);
                self.said.push(remark);
            }
        }
    }

    /// The components that have something to build, and what is to be done about each.
    fn todo<'m>(
        &'m self,
        manifest: &'m Manifest,
    ) -> impl Iterator<Item = (&'m ComponentId, Recipe, Todo)> + 'm {
        let builds = !self.options.skip_build;
        let components = manifest.components.iter().filter(move |_| builds);
        components.filter_map(|component| {
            let id = &component.id.value;
            let build = component
                .build
                .as_ref()
                .filter(|build| self.options.up.wants(id) && !build.commands.is_empty())?;
            let recipe = Recipe::new(build, self.seen.of(&Owner::Build(id.clone())));
            let todo = self.records.todo(id, &recipe);
            Some((id, recipe, todo))
        })
    }

    pub(super) fn next_build(&self, manifest: &Manifest) -> Option<(ComponentId, Recipe)> {
        let mut todo = self.todo(manifest);
        let next = todo.find(|(_, _, todo)| *todo == Todo::Build);
        next.map(|(id, recipe, _)| (id.clone(), recipe))
    }

    pub(super) fn waits_for_a_mended_build(&self, manifest: &Manifest) -> bool {
        self.todo(manifest).any(|(_, _, todo)| todo == Todo::Wait)
    }

    pub(super) fn build(&mut self, id: ComponentId, recipe: Recipe) -> Result<(), Failure> {
        let manifest = self.options.app().manifest_file();
        let mut command = own_process::build(&manifest, std::slice::from_ref(&id), self.terminal);
        // Whoever changes something when that is said changes it after the look.
        command.arg("--result-on-stdout").stdout(Stdio::piped());
        let process = Process::start(command, &self.ends)?;
        self.building = Some(Building {
            id,
            process,
            recipe,
            begun: Instant::now(),
            is_outdated: false,
            suspicion: None,
        });
        Ok(())
    }

    /// A build has ended.
    pub(super) fn built(&mut self, building: Building, end: &End) -> Result<(), Failure> {
        let mut changed = self.look();
        self.read_what_changed();
        let now = self.seen.of(&Owner::Build(building.id.clone()));
        let is_outdated = self.is_outdated(&building, &now);
        let took = building.begun.elapsed();
        let recipe = Recipe {
            sources: now,
            ..building.recipe
        };
        if !end.said.is_empty() {
            self.terminal.say(&end.said);
        }
        if is_outdated {
            changed.retain(|path| !self.places.is_made(path));
            self.say_changed(&changed);
            self.records.ended_outdated(&building.id);
        } else if end.status.success() {
            self.records.ended(&building.id, Outcome::Built(recipe), took);
            if !self.servers.is_newest_there() {
                // Also where it is the same once more.
                self.in_vain = None;
            }
        } else {
            self.records.ended(&building.id, Outcome::Failed(recipe), took);
            self.say_what_goes_on(&format!("build failed: {}", building.id));
        }
        self.step()
    }
}

/// The time that a build has to end what it has started.
pub(super) const POLITE: Duration = Duration::from_secs(5);
