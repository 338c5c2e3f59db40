//! `outport push`: an app of this machine, to a registry, in the layout that Spin, containerd and SpinKube read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args;
use outport_check::Diagnostic;
use outport_manifest::{Component, ComponentId, Implementation, Manifest, Source};
use outport_runtime::app::FetchedCode;
use outport_runtime::files::FileTree;
use outport_sources::oci::{PushError, PushedComponent, Reference, push as push_app};

use crate::app_options::{AppOptions, LOCAL_APP, is_webassembly};
use crate::failure::Failure;
use crate::fetching::block_on;
use crate::files::Files;
use crate::load_options::LoadOptions;
use crate::progress;
use crate::reference_options::{RegistryArguments, parse, registry_advice};
use crate::terminal::{Terminal, print};

/// Push an app to a registry, in the layout that Spin, containerd and SpinKube read.
///
/// Every component goes as its file is: it is neither built nor composed. Two pushes of the same app have the same digest,
/// which standard output gets.
#[derive(Debug, Args)]
#[command(mut_arg("from", |from| from.help(LOCAL_APP)))]
// What a pull has to fulfil; since they are hidden, what file and environment say of pulls is not said of a push.
#[command(mut_arg("require_digest", |only| only.hide(true)))]
#[command(mut_arg("verify_key", |only| only.hide(true)))]
pub(crate) struct Options {
    /// Where to, such as `ghcr.io/me/app:1.0`; without a tag it is `latest`
    #[arg(value_name = "REFERENCE", value_parser = parse)]
    reference: Reference,

    #[command(flatten)]
    app: AppOptions,

    #[command(flatten)]
    loading: LoadOptions,
}

pub(super) fn push(options: &Options, terminal: Terminal) -> Result<i32, Failure> {
    options.app.references().refuse_for_push()?;
    let mut files = Files::default();
    let source = options.app.read_manifest(&mut files).map_err(Failure::unusable)?;
    let (manifest, _) = Manifest::parse(&source).complete().map_err(|problems| {
        Failure::unusable_in(&files, problems.0.iter().map(Diagnostic::from).collect())
    })?;
    let cache = options.loading.cache();
    let fetched = options
        .app
        .fetching
        .fetch(&manifest, |_| true, &cache, &mut files, terminal);
    terminal.show_all(&fetched.remarks, &files);
    if !fetched.wrong.is_empty() {
        return Err(Failure::unusable_in(&files, fetched.wrong));
    }
    let mut components = HashMap::new();
    // What is copied stays until it is pushed.
    let mut trees = Vec::new();
    for component in &manifest.components {
        let (pushed, tree) = options.parts_of(component, &manifest, &fetched.code, &files)?;
        trees.extend(tree);
        components.insert(component.id.value.clone(), pushed);
    }
    let pushed = options.send(&manifest, &components, terminal)?;
    drop(trees);
    let (reference, digest) = (&options.reference, &pushed.digest);
    terminal.say(&format!(
        "Pushed {reference}: {} layers with {} bytes, of which {} were new",
        pushed.layers, pushed.bytes, pushed.sent
    ));
    print(&format!("{digest}\n"))?;
    Ok(0)
}

impl Options {
    /// The files of a component.
    fn parts_of(
        &self,
        component: &Component,
        manifest: &Manifest,
        fetched: &FetchedCode,
        files: &Files,
    ) -> Result<(PushedComponent, Option<FileTree>), Failure> {
        let mut wrong = Vec::new();
        let mut code = |path: Option<PathBuf>, span: &std::ops::Range<usize>| {
            let path = path.unwrap_or_default();
            if !is_webassembly(&path) {
                let shown = outport_policy::text::path(&path);
                let what = match path.try_exists() {
                    Ok(false) => format!("there is no file `{shown}`"),
                    _ => format!("`{shown}` is not a file with WebAssembly"),
                };
                let error = Diagnostic::error(what);
                let error = error
                    .helped_by("build the app first, for example with `outport build`, or correct the path");
                wrong.push(error.at(manifest.source.location(span)));
            }
            path
        };
        let of = |id: &ComponentId| {
            let named = manifest.component(id)?;
            code_of(&manifest.code_of(named)?.source.value, manifest, fetched)
        };
        let mut pushed = PushedComponent {
            code: code(of(&component.id.value), &component.source.span),
            ..PushedComponent::default()
        };
        for dependency in &component.dependencies.list {
            let implementation = &dependency.implementation;
            let path = match &implementation.value {
                Implementation::Path(path) => Some(beside(manifest, path)),
                Implementation::Component(id) => of(id),
                Implementation::Remote(remote) => fetched.path(remote).map(Path::to_owned),
            };
            pushed.dependencies.push(code(path, &implementation.span));
        }
        let root = beside(manifest, "");
        let copied = FileTree::copy(component, &root, &self.loading.cache(), self.loading.files());
        let tree = copied.unwrap_or_else(|problems| {
            wrong.extend(problems.iter().map(|problem| {
                let error = Diagnostic::error(problem.error.to_string());
                let error = error.at(manifest.source.location(&problem.span));
                match problem.error.advice() {
                    Some(advice) => error.helped_by(advice),
                    None => error,
                }
            }));
            None
        });
        if !wrong.is_empty() {
            return Err(Failure::unusable_in(files, wrong));
        }
        pushed.files = tree.as_ref().map(|tree| tree.directory().to_owned());
        Ok((pushed, tree))
    }

    fn send(
        &self,
        manifest: &Manifest,
        components: &HashMap<ComponentId, PushedComponent>,
        terminal: Terminal,
    ) -> Result<outport_sources::oci::Pushed, Failure> {
        let registries: &RegistryArguments = self.app.registries();
        let options = registries.of(self.reference.host());
        let fetcher = self.app.fetching.client.fetcher();
        let progress = progress::of(terminal);
        let pushing = push_app(
            &self.reference,
            manifest,
            components,
            (&fetcher, options),
            &*progress,
        );
        block_on(pushing)?.map_err(|error| {
            let told = Diagnostic::error(format!("cannot push `{}`: {error}", self.reference));
            Failure::unusable(match &error {
                PushError::Registry(error) => match registry_advice(error) {
                    Some(advice) => told.helped_by(advice),
                    None => told,
                },
                _ => told,
            })
        })
    }
}

fn code_of(source: &Source, manifest: &Manifest, fetched: &FetchedCode) -> Option<PathBuf> {
    match source {
        Source::Path(path) => Some(beside(manifest, path)),
        Source::Remote(remote) => fetched.path(remote).map(Path::to_owned),
        Source::Component(_) => None,
    }
}

/// A path of the manifest. The directory itself is `.` rather than nothing.
fn beside(manifest: &Manifest, path: &str) -> PathBuf {
    let directory = manifest.source.path().parent().unwrap_or(Path::new(""));
    let joined = directory.join(path);
    if joined.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        joined
    }
}
