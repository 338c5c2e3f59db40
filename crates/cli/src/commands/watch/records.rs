//! What is known of the builds of components: which is up to date, which has failed, and which files a build writes itself.
//!
//! A component is up to date when what its build reads says what it said when the build that went well began. One that has
//! failed is not built again before something of that has changed.
//!
//! A build may write what it also watches, such as generated code. Whoever wrote a file nobody can tell; so what changes while
//! a component is built makes it be built again, but not for ever: each such round in which the same files have changed has a
//! weight, more of it where they did at once, as a build's own do. When that is [`ENOUGH`], the files are called the build's own,
//! which is said once, and while it builds their changes count no more. A round in which nothing changed, and whatever changes while nothing is built,
//! begins anew. A build that does not end after that, for a while by what it took before, is replaced all the same: it may be
//! that somebody has saved a file again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use outport_manifest::{Build, ComponentId};

use super::contents::{Contents, difference};

/// What a build goes by: its commands, and what they read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipe {
    pub(super) build: String,
    pub(super) sources: Contents,
}

impl Recipe {
    pub(super) fn new(build: &Build, sources: Contents) -> Self {
        let commands = build.commands.iter().map(|command| command.value.as_str());
        let workdir = build.workdir.iter().map(|workdir| workdir.value.as_str());
        Self {
            build: commands.chain(workdir).collect::<Vec<_>>().join("\0"),
            sources,
        }
    }
}

/// The last build of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Built(Recipe),
    Failed(Recipe),
}

/// What is to be done about a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Todo {
    Nothing,
    Build,
    /// It has failed, and nothing has changed since.
    Wait,
}

/// What a change of sources during a build means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// There is none that counts.
    Nothing,
    /// Somebody has changed something: the build is out of date.
    Outdated,
    /// The build itself has written these, which was not known.
    Own(Vec<PathBuf>),
}

#[derive(Debug, Default)]
struct Record {
    last: Option<Outcome>,
    own: BTreeSet<PathBuf>,
    /// Those that changed in each of the rounds that have a weight.
    suspected: BTreeSet<PathBuf>,
    weight: u32,
    /// The time that the last build took that came to an end.
    took: Option<Duration>,
}

/// All components.
#[derive(Debug, Default)]
pub(super) struct Records(BTreeMap<ComponentId, Record>);

impl Records {
    /// What to do about a component whose recipe is this now.
    pub(super) fn todo(&self, id: &ComponentId, now: &Recipe) -> Todo {
        match self.0.get(id).and_then(|record| record.last.as_ref()) {
            Some(Outcome::Built(recipe)) if recipe == now => Todo::Nothing,
            Some(Outcome::Failed(recipe)) if recipe == now => Todo::Wait,
            _ => Todo::Build,
        }
    }

    /// Looks at what has changed since a build began that long ago.
    pub(super) fn meaning(
        &mut self,
        id: &ComponentId,
        began_with: &Contents,
        now: &Contents,
        after: Duration,
    ) -> Meaning {
        let record = self.0.entry(id.clone()).or_default();
        let mut changed = difference(began_with, now);
        changed.retain(|path| !record.own.contains(path));
        if changed.is_empty() {
            return Meaning::Nothing;
        }
        // A build writes the same files each time.
        let same = changed.iter().any(|path| record.suspected.contains(path));
        if same {
            record.suspected.retain(|path| changed.contains(path));
        } else {
            record.suspected = changed.iter().cloned().collect();
            record.weight = 0;
        }
        record.weight += if after < AT_ONCE { 3 } else { 1 };
        if record.weight <= ENOUGH {
            return Meaning::Outdated;
        }
        record.weight = 0;
        changed.retain(|path| record.suspected.contains(path));
        record.own.extend(changed.iter().cloned());
        Meaning::Own(changed)
    }

    /// A build has ended, and nothing that counts has changed meanwhile.
    pub(super) fn ended(&mut self, id: &ComponentId, outcome: Outcome, took: Duration) {
        let record = self.0.entry(id.clone()).or_default();
        record.weight = 0;
        record.took = Some(took);
        record.last = Some(outcome);
    }

    /// A build has ended that was out of date by then: it is to be built again.
    pub(super) fn ended_outdated(&mut self, id: &ComponentId) {
        self.0.entry(id.clone()).or_default().last = None;
    }

    /// The time for which a build that seems to have written its own sources is waited for.
    pub(super) fn patience(&self, id: &ComponentId) -> Duration {
        let took = self.0.get(id).and_then(|record| record.took);
        took.map_or(UNKNOWN, |took| (took * 3).max(SHORTEST))
    }

    /// Nothing is the build's own: it does not end, so somebody else has written that.
    pub(super) fn disown(&mut self, id: &ComponentId) {
        let record = self.0.entry(id.clone()).or_default();
        record.own.clear();
        record.weight = 0;
    }

    /// Something has changed while nothing was built.
    pub(super) fn changed_in_peace(&mut self) {
        for record in self.0.values_mut() {
            record.weight = 0;
        }
    }

    /// Another manifest may have other patterns.
    pub(super) fn forget_whose(&mut self) {
        for record in self.0.values_mut() {
            record.own.clear();
        }
    }
}

/// The weight of rounds after which files are the build's own.
const ENOUGH: u32 = 6;

/// The time that a build gets of which nobody knows how long it takes.
const UNKNOWN: Duration = Duration::from_secs(60);

/// The time that any build gets.
const SHORTEST: Duration = Duration::from_secs(5);

/// The time after its begin in which a build writes what it generates.
const AT_ONCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::contents::Looker;
    use super::super::notifier::Notifier;
    use super::super::places::{Owner, Place, Places};
    use super::*;

    /// What a folder with one file says, by what stands in it.
    fn contents(text: &str) -> Contents {
        let folder = std::env::temp_dir().join(format!("outport-records-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("gen.rs"), text).unwrap();
        let mut places = Places::default();
        places.all.push((Owner::App, Place::whole(&folder)));
        let mut notifier = Notifier::that_polls();
        let seen = Looker::default().look(&places, &mut notifier, &mut Vec::new());
        seen.of(&Owner::App)
    }

    #[test]
    fn a_build_that_writes_its_sources_comes_to_an_end() {
        let id = ComponentId::parse("web").unwrap();
        let mut records = Records::default();
        let quick = Duration::from_millis(10);
        let (first, second) = (contents("1"), contents("2"));
        assert_eq!(records.meaning(&id, &first, &first, quick), Meaning::Nothing);
        for _ in 0..2 {
            assert_eq!(records.meaning(&id, &first, &second, quick), Meaning::Outdated);
        }
        let Meaning::Own(files) = records.meaning(&id, &first, &second, quick) else {
            panic!("it goes on for ever");
        };
        assert!(files[0].ends_with("gen.rs"));
        // It is known from then on.
        assert_eq!(records.meaning(&id, &first, &second, quick), Meaning::Nothing);
        records.forget_whose();
        // Somebody who saves again and again while a slow build runs is not taken for the build so soon.
        for _ in 0..6 {
            let slow = Duration::from_secs(20);
            assert_eq!(records.meaning(&id, &first, &second, slow), Meaning::Outdated);
        }
    }

    #[test]
    fn what_has_failed_waits_for_a_change() {
        let id = ComponentId::parse("web").unwrap();
        let mut records = Records::default();
        let recipe = |text: &str| Recipe {
            build: "make".into(),
            sources: contents(text),
        };
        assert_eq!(records.todo(&id, &recipe("1")), Todo::Build);
        records.ended(&id, Outcome::Failed(recipe("1")), Duration::ZERO);
        assert_eq!(records.todo(&id, &recipe("1")), Todo::Wait);
        assert_eq!(records.todo(&id, &recipe("2")), Todo::Build);
        records.ended(&id, Outcome::Built(recipe("2")), Duration::from_secs(4));
        assert_eq!(records.patience(&id), Duration::from_secs(12));
        assert_eq!(records.todo(&id, &recipe("2")), Todo::Nothing);
        let other = Recipe {
            build: "make all".into(),
            ..recipe("2")
        };
        assert_eq!(records.todo(&id, &other), Todo::Build);
        records.ended_outdated(&id);
        assert_eq!(records.todo(&id, &recipe("2")), Todo::Build);
    }
}
