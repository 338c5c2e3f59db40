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
//!
//! What a build has left running may write what it watches, too. Files that change within [`SOON`] after the build's end, the
//! same ones more than [`MOST_ROUNDS`] times in a row, those while the next build runs counted, are held: a change of them alone counts when they have not changed for
//! a while, which doubles with each round. So a change of the author's is late, and never lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use outport_manifest::{Build, ComponentId};
use tokio::time::Instant;

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
    ended: Option<Instant>,
    /// Files that changed soon after the build's end, in as many rounds.
    restless: BTreeSet<PathBuf>,
    rounds: u32,
    /// Until when changes of these do not count.
    held_until: Option<Instant>,
}

impl Record {
    /// The recipe of the last build.
    fn recipe(&self) -> Option<&Recipe> {
        match self.last.as_ref()? {
            Outcome::Built(recipe) | Outcome::Failed(recipe) => Some(recipe),
        }
    }

    /// True if all that is new in a recipe is held.
    fn holds_all_that_is_new(&self, now: &Recipe) -> bool {
        self.held_until.is_some()
            && self.recipe().is_some_and(|recipe| {
                let changed = difference(&recipe.sources, &now.sources);
                recipe.build == now.build && changed.iter().all(|path| self.restless.contains(path))
            })
    }

    fn quiet(&self) -> Duration {
        let doubled = self.rounds.saturating_sub(MOST_ROUNDS + 1).min(7);
        QUIET * (1 << doubled)
    }
}

/// All components.
#[derive(Debug, Default)]
pub(super) struct Records(BTreeMap<ComponentId, Record>);

impl Records {
    /// What to do about a component whose recipe is this now.
    pub(super) fn todo(&self, id: &ComponentId, now: &Recipe) -> Todo {
        let Some(record) = self.0.get(id) else {
            return Todo::Build;
        };
        let is_held = record.holds_all_that_is_new(now);
        match &record.last {
            Some(Outcome::Built(recipe)) if is_held || recipe == now => Todo::Nothing,
            Some(Outcome::Failed(recipe)) if is_held || recipe == now => Todo::Wait,
            _ => Todo::Build,
        }
    }

    /// Looks at what has changed since a build ended, while nothing is built. Answers what is held from now on.
    pub(super) fn changed_after_build(
        &mut self,
        id: &ComponentId,
        now: &Recipe,
        at: Instant,
    ) -> Option<Vec<PathBuf>> {
        let record = self.0.get_mut(id)?;
        let changed = difference(&record.recipe()?.sources, &now.sources);
        if changed.is_empty() {
            return None;
        }
        if record.holds_all_that_is_new(now) {
            record.held_until = Some(at + record.quiet());
            return None;
        }
        let is_same = changed.iter().all(|path| record.restless.contains(path));
        let is_soon = record.ended.is_some_and(|ended| at.duration_since(ended) < SOON);
        record.rounds = match (is_soon, is_same) {
            (true, true) => record.rounds + 1,
            (true, false) => 1,
            (false, _) => 0,
        };
        record.restless = changed.iter().cloned().collect();
        record.held_until = (record.rounds > MOST_ROUNDS).then(|| at + record.quiet());
        record.held_until.is_some().then_some(changed)
    }

    /// True of a file whose changes do not count now.
    pub(super) fn holds(&self, path: &Path) -> bool {
        let mut held = self.0.values().filter(|record| record.held_until.is_some());
        held.any(|record| record.restless.contains(path))
    }

    /// The next moment at which something counts again.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.0.values().filter_map(|record| record.held_until).min()
    }

    /// Files that have not changed for long enough count again.
    pub(super) fn release(&mut self, now: Instant) {
        for record in self.0.values_mut() {
            record.held_until = record.held_until.filter(|until| *until > now);
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
            // What a build has left running goes on writing while the next one runs.
            if record.rounds > 0 && changed.iter().all(|path| record.restless.contains(path)) {
                record.rounds += 1;
            }
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
        record.ended = Some(Instant::now());
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

/// The time after its end in which what a build left running gives itself away.
const SOON: Duration = Duration::from_secs(3);

/// Rounds in a row after which it is held.
const MOST_ROUNDS: u32 = 6;

/// The time without a change after which what is held counts again, at first.
const QUIET: Duration = Duration::from_secs(5);

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
        let folder = std::env::temp_dir().join(format!(
            "outport-records-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
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
    fn what_a_build_left_running_is_held_and_no_change_is_lost() {
        let id = ComponentId::parse("web").unwrap();
        let mut records = Records::default();
        let recipe = |number: u32| Recipe {
            build: "make".into(),
            sources: contents(&number.to_string()),
        };
        let round = |records: &mut Records, number: u32, later: u64| {
            records.ended(&id, Outcome::Built(recipe(number)), Duration::ZERO);
            let at = Instant::now() + Duration::from_secs(later);
            let held = records.changed_after_build(&id, &recipe(number + 1), at);
            (held.is_some(), records.todo(&id, &recipe(number + 1)))
        };
        for number in 0..MOST_ROUNDS {
            assert_eq!(round(&mut records, number, 1), (false, Todo::Build), "{number}");
        }
        assert_eq!(round(&mut records, 10, 1), (true, Todo::Nothing));
        let first = records.held_until().unwrap();
        // As long as it goes on, it is waited for.
        let later = first - Duration::from_secs(1);
        assert_eq!(records.changed_after_build(&id, &recipe(12), later), None);
        assert!(records.held_until().unwrap() > first);
        let other = Recipe {
            build: "make all".into(),
            ..recipe(12)
        };
        assert_eq!(records.todo(&id, &other), Todo::Build);
        records.release(later + Duration::from_secs(60));
        assert_eq!(records.todo(&id, &recipe(12)), Todo::Build);
        // Another round, and it is waited for twice as long.
        assert_eq!(round(&mut records, 20, 1), (true, Todo::Nothing));
        assert!(records.held_until().unwrap() > Instant::now() + QUIET + QUIET);
        records.release(Instant::now() + Duration::from_secs(60));
        // Who changes something later is the author.
        assert_eq!(round(&mut records, 30, 4), (false, Todo::Build));
        assert_eq!(round(&mut records, 40, 1), (false, Todo::Build));
    }

    #[test]
    fn what_a_build_left_running_is_held_as_soon_where_it_writes_while_the_next_one_runs() {
        let id = ComponentId::parse("web").unwrap();
        let mut records = Records::default();
        let recipe = |number: u32| Recipe {
            build: "make".into(),
            sources: contents(&number.to_string()),
        };
        let mut rounds = 0;
        for number in 0.. {
            let (before, now) = (recipe(number), recipe(number + 1));
            rounds += 1;
            // Now while it builds, now right after.
            if number % 2 == 1 {
                let late = Duration::from_secs(9);
                assert_eq!(
                    records.meaning(&id, &before.sources, &now.sources, late),
                    Meaning::Outdated
                );
                records.ended_outdated(&id);
            } else {
                records.ended(&id, Outcome::Built(before), Duration::ZERO);
                if records.changed_after_build(&id, &now, Instant::now()).is_some() {
                    break;
                }
            }
        }
        assert_eq!(rounds, MOST_ROUNDS + 1);
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
