//! The files that an app's components are in.
//!
//! A component from a URL is not fetched: its file must be on this machine, under the name of its digest, where
//! Outport or Spin keep such files. What is compiled is what was compared with the digest.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use outport_manifest::{Component as Written, Digest, Manifest, Source};

use super::{AppProblemKind, beside};
use crate::cache::{CompiledCode, user_cache};
use crate::component::{Component, ComponentError};
use crate::engine::Engine;

/// A file, and what it must hash to where the manifest says so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CodeFile {
    path: PathBuf,
    digest: Option<String>,
}

/// What became of each file.
pub(super) struct Compiled(BTreeMap<CodeFile, Result<Component, Arc<ComponentError>>>);

impl CodeFile {
    /// The file that a component's code is in.
    pub(super) fn of(written: &Written, manifest: &Manifest) -> Result<CodeFile, AppProblemKind> {
        if !written.dependencies.list.is_empty() {
            return Err(AppProblemKind::Composition);
        }
        match &written.source.value {
            Source::Path(path) => Ok(CodeFile {
                path: beside(manifest, path),
                digest: None,
            }),
            Source::Url { url, digest } => CodeFile::fetched(url, digest),
        }
    }

    fn fetched(url: &str, digest: &Digest) -> Result<CodeFile, AppProblemKind> {
        let places: Vec<PathBuf> = user_cache().map_or_else(Vec::new, |cache| {
            let own = cache
                .join("outport/components")
                .join(format!("{}.wasm", digest.hex()));
            let spins = cache.join("spin/registry/wasm").join(digest.to_string());
            vec![own, spins]
        });
        match places.iter().find(|place| place.is_file()) {
            Some(place) => Ok(CodeFile {
                path: place.clone(),
                digest: Some(digest.hex().to_owned()),
            }),
            None => Err(AppProblemKind::NotFetched {
                url: url.to_owned(),
                looked_for: places,
            }),
        }
    }

    fn compile(&self, engine: &Engine, code: &CompiledCode) -> Result<Component, ComponentError> {
        Component::load_file(&self.path, self.digest.as_deref(), engine, code)
    }
}

impl Compiled {
    /// Compiles every file once, several at a time.
    pub(super) fn from(mut files: Vec<CodeFile>, engine: &Engine, code: &CompiledCode) -> Compiled {
        files.sort();
        files.dedup();
        let compiled = Mutex::new(BTreeMap::new());
        let next = AtomicUsize::new(0);
        let compile_some = || {
            while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let component = file.compile(engine, code).map_err(Arc::new);
                compiled
                    .lock()
                    .expect("nobody panics with the list locked")
                    .insert(file.clone(), component);
            }
        };
        let threads = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(files.len());
        thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(compile_some);
            }
            compile_some();
        });
        Compiled(compiled.into_inner().expect("nobody panics with the list locked"))
    }

    /// What became of a file that was among those to compile.
    pub(super) fn component(&self, file: &CodeFile) -> Result<Component, AppProblemKind> {
        match &self.0[file] {
            Ok(component) => Ok(component.clone()),
            Err(error) => Err(AppProblemKind::Component(Arc::clone(error))),
        }
    }
}
