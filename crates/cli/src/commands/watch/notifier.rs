//! When to look: the system tells of what happens in directories, and where it does not, every [`POLLING`].
//!
//! Directories are watched one by one, those that a look comes by and those on the way to what may be there one day, and never
//! what is below `target` or `node_modules`: a watch for each directory there would cost more than all others together, and
//! each is one of a number that the system bounds for a user. Where that is used up, the rest is looked at from time to time.
//!
//! A directory that is gone takes its watch along, and another one may have its name and number by the time of the next look.
//! So what was removed, moved or made anew is watched anew, with all below.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{CreateKind, EventKind, ModifyKind};
use notify::{Config, ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::places::{Places, is_left_out};

/// Tells when to look.
pub(super) struct Notifier {
    /// None where the system tells nothing.
    system: Option<RecommendedWatcher>,
    shared: Arc<Shared>,
    /// Directories that the look under way came by.
    passed: HashSet<PathBuf>,
    /// Why it is looked from time to time, before and after that was said.
    polls: Option<Polls>,
}

enum Polls {
    Untold(String),
    Told,
}

#[derive(Default)]
struct Shared {
    happened: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    watched: HashSet<PathBuf>,
    /// Paths below which nothing is surely watched any more.
    stale: HashSet<PathBuf>,
    /// What counts. In the beginning nothing does.
    places: Places,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the system tells, on a thread of its own.
    fn told(&self, event: notify::Result<Event>) {
        let mut state = self.state();
        let Ok(event) = event else {
            return self.happened.notify_one();
        };
        if event.need_rescan() {
            let all: Vec<PathBuf> = state.watched.iter().cloned().collect();
            state.stale.extend(all);
            return self.happened.notify_one();
        }
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        let moves = matches!(
            event.kind,
            EventKind::Remove(_)
                | EventKind::Create(CreateKind::Folder | CreateKind::Any)
                | EventKind::Modify(ModifyKind::Name(_))
        );
        let mut counts = false;
        for path in &event.paths {
            let is_watched = state.watched.contains(path);
            if moves && is_watched {
                state.stale.insert(path.clone());
            }
            counts |= is_watched || state.counts(path) || (moves && is_new_directory(path));
        }
        if counts {
            self.happened.notify_one();
        }
    }
}

impl State {
    fn counts(&self, path: &Path) -> bool {
        let mut places = self.places.all.iter();
        places.any(|(owner, place)| {
            // A link on the way has another name than what it leads to.
            let is_on_the_way = place.base.starts_with(path);
            is_on_the_way || (place.matches(path) && self.places.counts(owner, path))
        }) || self.is_behind_a_link(path)
    }

    /// True of what is beside nothing that a pattern names: its directory is watched for the sake of a link.
    fn is_behind_a_link(&self, path: &Path) -> bool {
        let parent = path.parent().unwrap_or(path);
        let mut places = self.places.all.iter();
        places.all(|(_, place)| !parent.starts_with(&place.base) && place.base.parent() != Some(parent))
    }
}

/// What tools make for themselves is nobody's.
fn is_new_directory(path: &Path) -> bool {
    path.is_dir() && !path.file_name().is_some_and(is_left_out)
}

impl Notifier {
    /// Asks the system to tell.
    pub(super) fn new() -> Self {
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        let system = RecommendedWatcher::new(move |event| theirs.told(event), Config::default());
        let (system, polls) = match system {
            Ok(system) => (Some(system), None),
            Err(error) => (None, Some(Polls::Untold(reason(&error)))),
        };
        Self {
            system,
            shared,
            passed: HashSet::new(),
            polls,
        }
    }

    /// One that looks from time to time.
    #[cfg(test)]
    pub(super) fn that_polls() -> Self {
        Self {
            system: None,
            shared: Arc::default(),
            passed: HashSet::new(),
            polls: Some(Polls::Told),
        }
    }

    /// Waits until something has happened.
    pub(super) async fn happened(&self) {
        if self.polls.is_none() {
            return self.shared.happened.notified().await;
        }
        let _ = tokio::time::timeout(POLLING, self.shared.happened.notified()).await;
    }

    /// A look at these places begins.
    pub(super) fn begin(&mut self, places: &Places) {
        self.passed.clear();
        let mut state = self.shared.state();
        state.places = places.clone();
        let stale = std::mem::take(&mut state.stale);
        let lost: Vec<PathBuf> = state
            .watched
            .iter()
            .filter(|path| path.ancestors().any(|above| stale.contains(above)))
            .cloned()
            .collect();
        for path in &lost {
            state.watched.remove(path);
        }
        drop(state);
        for path in lost {
            self.leave(&path);
        }
    }

    /// Watches a directory that the look comes by.
    pub(super) fn watch(&mut self, directory: &Path) {
        if !self.passed.insert(directory.to_owned()) {
            return;
        }
        let Some(system) = &mut self.system else { return };
        if !self.shared.state().watched.insert(directory.to_owned()) {
            return;
        }
        if let Err(error) = system.watch(directory, RecursiveMode::NonRecursive) {
            self.shared.state().watched.remove(directory);
            let is_gone = matches!(error.kind, ErrorKind::PathNotFound)
                || matches!(&error.kind, ErrorKind::Io(error) if outport_files::regular_file::is_missing(error));
            if !is_gone && self.polls.is_none() {
                self.polls = Some(Polls::Untold(reason(&error)));
            }
        }
    }

    /// Watches where a file or directory is, or would come about: the nearest directory above it that is there.
    pub(super) fn watch_way_to(&mut self, path: &Path) {
        let above = path.ancestors().skip(1).find(|above| above.is_dir());
        if let Some(above) = above {
            self.watch(above);
        }
    }

    /// The look is over: what it did not come by is not watched any more.
    pub(super) fn end(&mut self, remarks: &mut Vec<String>) {
        let mut state = self.shared.state();
        let left: Vec<PathBuf> = state.watched.difference(&self.passed).cloned().collect();
        for path in &left {
            state.watched.remove(path);
        }
        drop(state);
        for path in left {
            self.leave(&path);
        }
        if let Some(Polls::Untold(why)) = &self.polls {
            remarks.push(why.clone());
            self.polls = Some(Polls::Told);
        }
    }

    fn leave(&mut self, path: &Path) {
        if let Some(system) = &mut self.system {
            // One that is gone is not watched.
            let _ = system.unwatch(path);
        }
    }
}

/// What is said where the system does not tell.
fn reason(error: &notify::Error) -> String {
    let why = match &error.kind {
        ErrorKind::MaxFilesWatch => "this user watches as many directories as may be".to_owned(),
        ErrorKind::Io(error) => error.to_string(),
        _ => "it does not say why".to_owned(),
    };
    format!(
        "the system does not tell of all changes ({why}), so Outport looks by itself every {POLLING:?}; \
         `sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512` permits more"
    )
}

/// The time between two looks where the system does not tell.
const POLLING: Duration = Duration::from_millis(500);
