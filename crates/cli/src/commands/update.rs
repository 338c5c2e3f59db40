//! `outport update`: newer versions of packages, into the lock file.

use clap::Args;
use outport_check::Diagnostic;
use outport_manifest::{Manifest, PackageRequest, Remote};
use outport_policy::text;
use outport_sources::fetching::Sources;
use outport_sources::requested_packages;

use crate::app_options::{AppOptions, LOCAL_APP};
use crate::failure::Failure;
use crate::fetching::{block_on, cache_in, failed, read_lock, shown, unwritten};
use crate::files::Files;
use crate::load_options::LoadOptions;
use crate::progress;
use crate::terminal::Terminal;

/// Take the newest versions of packages that the manifest permits, and write them into `outport.lock`.
///
/// Says what changed. Nothing runs, and no code is fetched: the next start does that. Ranges that the manifest does not ask
/// for any more are taken out.
#[derive(Debug, Args)]
#[command(mut_arg("from", |from| from.help(LOCAL_APP)))]
pub(crate) struct Options {
    /// Only these packages, `namespace:name`; all without any
    #[arg(value_name = "PACKAGE")]
    packages: Vec<String>,

    #[command(flatten)]
    app: AppOptions,

    #[command(flatten)]
    loading: LoadOptions,
}

pub(super) fn update(options: &Options, terminal: Terminal) -> Result<i32, Failure> {
    let mut files = Files::default();
    let source = options.app.read_manifest(&mut files).map_err(Failure::unusable)?;
    let (manifest, _) = Manifest::parse(&source).complete().map_err(|problems| {
        Failure::unusable_in(&files, problems.0.iter().map(Diagnostic::from).collect())
    })?;
    if options.app.fetching.is_offline() {
        let error =
            Diagnostic::error("newer versions are with their registries, which `--offline` does not ask");
        return Err(Failure::unusable(error));
    }
    let all = requested_packages(&manifest);
    let wanted = options.wanted(&all)?;
    let mut lock =
        read_lock(source.path(), &mut files).map_err(|wrong| Failure::unusable_in(&files, vec![wrong]))?;
    let fetcher = options.app.fetching.fetcher();
    let cache = cache_in(&options.loading.cache());
    let progress = progress::of(terminal);
    let sources = Sources::new(&fetcher, &cache, &*progress);
    let outcomes = block_on(sources.update(&wanted, &mut lock))?;
    let wrong: Vec<Diagnostic> = outcomes
        .iter()
        .filter_map(|(request, outcome)| {
            let error = outcome.as_ref().err()?;
            Some(failed(&Remote::Package(request.clone()), error))
        })
        .collect();
    if !wrong.is_empty() {
        return Err(Failure::unusable_in(&files, wrong));
    }
    lock.retain(&all.iter().collect::<Vec<_>>());
    let changes = lock.changes();
    if options.app.fetching.is_locked() && lock.is_outdated() {
        let changes: Vec<String> = changes.iter().map(shown).collect();
        let error = Diagnostic::error("`outport.lock` would change, and `--locked` keeps it as it is");
        return Err(Failure::unusable(
            error.helped_by(format!("it would say: {}", changes.join(", "))),
        ));
    }
    lock.write().map_err(|error| unwritten(&error))?;
    if all.is_empty() {
        terminal.say("The app asks for no packages");
    } else if changes.is_empty() {
        terminal.say("Nothing newer: `outport.lock` stays as it is");
    }
    for change in &changes {
        terminal.say(&format!("Locked {}", shown(change)));
    }
    Ok(0)
}

impl Options {
    /// The requests for the packages that were named.
    fn wanted(&self, all: &[PackageRequest]) -> Result<Vec<PackageRequest>, Failure> {
        let is_known = |name: &&String| all.iter().any(|request| request.name == **name);
        if let Some(unknown) = self.packages.iter().find(|name| !is_known(name)) {
            let error = Diagnostic::error(format!("the app asks for no package `{}`", text::quote(unknown)));
            let mut known: Vec<String> = all.iter().map(|request| format!("`{}`", request.name)).collect();
            known.dedup();
            return Err(Failure::unusable(match known.as_slice() {
                [] => error,
                known => error.helped_by(format!("it asks for {}", known.join(", "))),
            }));
        }
        let named =
            |request: &&PackageRequest| self.packages.is_empty() || self.packages.contains(&request.name);
        Ok(all.iter().filter(named).cloned().collect())
    }
}
