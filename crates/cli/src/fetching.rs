//! Code from elsewhere, fetched before anything else happens: as long as the kernel's sandbox is open, and the process has
//! one thread.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use outport_check::{Code, Diagnostic};
use outport_manifest::{ComponentId, Manifest, Remote};
use outport_policy::text;
use outport_runtime::app::FetchedCode;
use outport_runtime::cache::CacheDirectory;
use outport_sources::cache::{Cache, CachedFile};
use outport_sources::fetching::{Locking, SourceError, Sources};
use outport_sources::http::{FetchOptions, Fetcher, Reach};
use outport_sources::lock::{Change, LockError, LockFile};
use outport_sources::{Wanted, requested_packages, wanted};

use crate::failure::Failure;
use crate::files::Files;
use crate::numbers::{Size, Time, working_time};
use crate::progress;
use crate::terminal::Terminal;

/// How code of an app is fetched.
#[derive(Debug, Clone, Args)]
pub(crate) struct FetchArguments {
    #[command(flatten)]
    pub(crate) client: ClientArguments,

    /// Refuse to start when `outport.lock` would have to change
    #[arg(long)]
    locked: bool,

    /// The app is from a registry: what is beside its manifest stays as it is.
    #[arg(skip)]
    pub(crate) is_from_afar: bool,

    /// Where requests for what the app names may lead.
    #[arg(skip)]
    pub(crate) reach: Reach,

    /// A part of the manifest could not be read, so that nobody knows all that it asks for.
    #[arg(skip)]
    is_partial: bool,
}

/// How anything is fetched.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClientArguments {
    /// Fetch nothing: use what is in the cache, in the versions of `outport.lock`
    #[arg(long)]
    offline: bool,

    /// Bytes of one file that is fetched [default: 512M]
    #[arg(long, value_name = "SIZE")]
    max_download: Option<Size>,

    /// Give up on a server that sends nothing for this long [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = working_time)]
    fetch_timeout: Option<Time>,
}

/// The code that was fetched for an app.
#[derive(Default)]
pub(crate) struct Fetched {
    /// What is there.
    pub(crate) code: FetchedCode,
    /// Why something is not, each with its component and its place.
    pub(crate) wrong: Vec<Diagnostic>,
    /// What is worth saying besides.
    pub(crate) remarks: Vec<Diagnostic>,
}

impl ClientArguments {
    /// The operator's client, for what he names himself.
    pub(crate) fn fetcher(&self) -> Fetcher {
        self.fetcher_within(Reach::Anywhere)
    }

    fn fetcher_within(&self, reach: Reach) -> Fetcher {
        let mut options = FetchOptions::default();
        options.reach = reach;
        options.offline = self.offline;
        if let Some(Size(bytes)) = self.max_download {
            options.max_size = bytes as u64;
        }
        if let Some(Time(time)) = self.fetch_timeout {
            options.stall_timeout = time.unwrap_or(FOREVER);
        }
        Fetcher::new(options)
    }

    /// True if nothing is to be fetched.
    pub(crate) fn is_offline(&self) -> bool {
        self.offline
    }
}

impl FetchArguments {
    /// The operator's client, for what the app names.
    pub(crate) fn fetcher(&self) -> Fetcher {
        self.client.fetcher_within(self.reach)
    }

    /// True if nothing is to be fetched.
    pub(crate) fn is_offline(&self) -> bool {
        self.client.is_offline()
    }

    /// The same for a manifest with mistakes: whatever it comes to, the lock file stays as it is.
    pub(crate) fn for_a_part(&self) -> Self {
        Self {
            is_partial: true,
            ..self.clone()
        }
    }

    /// True if the lock file must stay as it is.
    pub(crate) fn is_locked(&self) -> bool {
        self.locked
    }

    /// Fetches the code that the components need which `wants` picks, and keeps the lock file up to date.
    pub(crate) fn fetch(
        &self,
        manifest: &Manifest,
        wants: impl Fn(&ComponentId) -> bool,
        cache: &CacheDirectory,
        files: &mut Files,
        terminal: Terminal,
    ) -> Fetched {
        let wanted = wanted(manifest, wants);
        let mut fetched = Fetched::default();
        let mut lock = match read_lock(manifest.source.path(), files) {
            Ok(lock) => lock,
            Err(damaged) => {
                fetched.wrong.push(damaged);
                return fetched;
            }
        };
        let fetcher = self.fetcher();
        let remotes: Vec<Remote> = wanted.iter().map(|one| one.code.value.clone()).collect();
        let outcomes = if remotes.is_empty() {
            Vec::new()
        } else {
            let cache = cache_in(cache);
            let progress = progress::of(terminal);
            let sources = Sources::new(&fetcher, &cache, &*progress);
            match block_on(sources.fetch(&remotes, &mut lock, self.locking())) {
                Ok(outcomes) => outcomes,
                Err(error) => {
                    let message = format!("nothing can be fetched: {error}");
                    fetched
                        .wrong
                        .push(Diagnostic::error(message).coded(Code::Unusable));
                    return fetched;
                }
            }
        };
        for (remote, outcome) in outcomes {
            match outcome {
                Ok(CachedFile { path, digest }) => fetched.code.insert(remote, path, &digest),
                Err(error) => fetched.wrong.extend(why_not(&remote, &error, &wanted, manifest)),
            }
        }
        if fetched.wrong.is_empty() && !self.is_partial {
            self.keep(&mut lock, manifest, &mut fetched, terminal);
        }
        fetched
    }

    fn locking(&self) -> Locking {
        if self.locked { Locking::Keep } else { Locking::Add }
    }

    /// Writes the lock file, if it says something else now and may.
    fn keep(&self, lock: &mut LockFile, manifest: &Manifest, fetched: &mut Fetched, terminal: Terminal) {
        let requests = requested_packages(manifest);
        lock.retain(&requests.iter().collect::<Vec<_>>());
        if !lock.is_outdated() {
            return;
        }
        let changes = lock.changes();
        if self.locked {
            let message = "`outport.lock` would change, and `--locked` keeps it as it is";
            let changes: Vec<String> = changes.iter().map(shown).collect();
            let help = match changes.as_slice() {
                [] => "other ranges come to its versions; start once without `--locked`".to_owned(),
                changes => format!(
                    "it would say: {}; start once without `--locked`",
                    changes.join(", ")
                ),
            };
            let error = Diagnostic::error(message).coded(Code::Unusable).helped_by(help);
            fetched.wrong.push(error.at(manifest.source.location(&(0..0))));
            return;
        }
        if self.is_from_afar {
            return;
        }
        match lock.write() {
            Ok(()) => changes
                .iter()
                .for_each(|change| terminal.say(&format!("Locked {}", shown(change)))),
            // The app runs all the same: with these versions now, and perhaps with others the next time.
            Err(error) => fetched
                .remarks
                .push(of_lock(&error, Diagnostic::warning(error.to_string()))),
        }
    }
}

/// The cache of what was fetched, in the directory for what can be made again.
pub(crate) fn cache_in(directory: &CacheDirectory) -> Cache {
    Cache::new(directory.own(), directory.users())
}

/// Does something that waits, and leaves no thread behind.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}

/// The lock file beside a manifest.
pub(crate) fn read_lock(manifest: &Path, files: &mut Files) -> Result<LockFile, Diagnostic> {
    LockFile::beside(manifest).map_err(|error| {
        if error.location().is_some() {
            // To be quoted; if it cannot be read now, it is not.
            let _ = files.read(&manifest.with_file_name("outport.lock"), "lock file");
        }
        let help = match &error {
            LockError::Newer { .. } => {
                "a newer Outport has written it: use that one, or remove it to have it written anew"
            }
            _ => "take it from where it was whole, or remove it to have it written anew",
        };
        of_lock(&error, Diagnostic::error(error.to_string()).helped_by(help))
    })
}

/// The lock file could not be written.
pub(crate) fn unwritten(error: &LockError) -> Failure {
    Failure::unusable(of_lock(error, Diagnostic::error(error.to_string())))
}

/// `acme:auth 1.0.0 → 1.2.0`
pub(crate) fn shown(Change { name, before, now }: &Change) -> String {
    match (before, now) {
        (Some(before), Some(now)) if before == now => format!("{name} {now}, whose bytes are others"),
        (Some(before), Some(now)) => format!("{name} {before} → {now}"),
        (None, Some(now)) => format!("{name} {now}"),
        (Some(before), None) => format!("{name} no more, which was {before}"),
        (None, None) => name.clone(),
    }
}

/// Why something is not there, as a message without a place.
pub(crate) fn failed(remote: &Remote, error: &SourceError) -> Diagnostic {
    let message = match (remote, error) {
        // It names the address already, perhaps one that a server has led to.
        (Remote::Url { .. }, SourceError::Fetch(error)) => format!("cannot fetch {error}"),
        (Remote::Url { .. }, error) => {
            format!("cannot fetch {}: {error}", text::quote(&remote.to_string()))
        }
        (Remote::Package(package), error) => {
            format!("cannot fetch `{}`: {error}", text::quote(&package.to_string()))
        }
    };
    Diagnostic {
        help: error.advice(),
        ..Diagnostic::error(message)
    }
    .coded(Code::Unusable)
}

/// The message at each place that asks for it.
fn why_not(remote: &Remote, error: &SourceError, wanted: &[Wanted], manifest: &Manifest) -> Vec<Diagnostic> {
    let asking = wanted.iter().filter(|one| one.code.value == *remote);
    asking
        .map(|one| {
            failed(remote, error)
                .of(one.component.to_string())
                .at(manifest.source.location(&one.code.span))
        })
        .collect()
}

fn of_lock(error: &LockError, diagnostic: Diagnostic) -> Diagnostic {
    let diagnostic = diagnostic.coded(Code::Unusable);
    match error.location() {
        Some(location) => diagnostic.at(location.clone()),
        None => diagnostic,
    }
}

/// Nobody waits longer.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
