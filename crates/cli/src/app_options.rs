//! The app that is meant, read: its manifest, the values of its variables, and the entries that come of both.
//!
//! Everything that is wrong with any of them is told at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args;
use outport_manifest::{
    ComponentId, Fallback, GivenVariables, Manifest, Note, Reading, SourceFile, VariableArgument, Variables,
};
use outport_policy::{Entry, Place};

use crate::defaults::defaults;
use crate::diagnostic::Diagnostic;
use crate::failure::Failure;
use crate::files::{Files, read_text, unreadable};

/// Which app, and what its variables are.
#[derive(Debug, Args)]
pub(crate) struct AppOptions {
    /// The app: a `spin.toml`, or the directory that it is in
    #[arg(
        long,
        short = 'f',
        value_name = "DIR_OR_FILE",
        default_value = ".",
        hide_default_value = true
    )]
    from: PathBuf,

    /// Set a variable of the app
    #[arg(long, value_name = "NAME=VALUE|NAME=@FILE|@FILE")]
    variable: Vec<VariableArgument>,
}

/// An app as it is written, with its variables filled in.
pub(crate) struct WrittenApp {
    pub(crate) manifest: Manifest,
    pub(crate) variables: Variables,
    /// What each component may reach by its author's word.
    pub(crate) entries: HashMap<ComponentId, Vec<Entry>>,
    /// What is worth saying about it.
    pub(crate) remarks: Vec<Diagnostic>,
}

/// A manifest that cannot be read, with what to do.
pub(crate) fn no_manifest(missing: Diagnostic) -> Diagnostic {
    missing.advising("run Outport where the app's `spin.toml` is, or say where with `-f DIR_OR_FILE`")
}

impl AppOptions {
    /// Reads the app.
    pub(crate) fn read(&self, files: &mut Files) -> Result<WrittenApp, Failure> {
        let source = match files.read(&manifest_file(&self.from), "manifest") {
            Ok(source) => source,
            Err(missing) => return Err(Failure::unusable(no_manifest(missing))),
        };
        let manifest = Manifest::parse(&source);
        conceal_secrets(&manifest, files);
        let mut wrong = Vec::new();
        let given = self.given_variables(&mut wrong);
        let (manifest, mut notes) = manifest.complete().map_err(|problems| {
            Failure::unusable_in(files, problems.0.iter().map(Diagnostic::from).collect())
        })?;
        let variables = take(
            Variables::resolve(&manifest.variables, &given, &source),
            &mut notes,
            &mut wrong,
        );
        let mut entries = HashMap::new();
        for component in &manifest.components {
            let own = take(component.outbound_entries(&variables), &mut notes, &mut wrong);
            entries.insert(component.id.value.clone(), own);
        }
        if !wrong.is_empty() {
            return Err(Failure::unusable_in(files, wrong));
        }
        Ok(WrittenApp {
            manifest,
            variables,
            entries,
            remarks: notes.iter().map(Diagnostic::from).collect(),
        })
    }

    /// The file that the manifest is in.
    pub(crate) fn manifest_file(&self) -> PathBuf {
        manifest_file(&self.from)
    }

    pub(crate) fn given_variables(&self, wrong: &mut Vec<Diagnostic>) -> GivenVariables {
        let mut given = GivenVariables::default();
        given.environment(std::env::vars_os());
        for argument in &self.variable {
            if let Err(unreadable) = give(&mut given, argument) {
                let option = Place::Option {
                    name: "--variable".into(),
                };
                wrong.push(unreadable.at(option));
            }
        }
        given
    }
}

/// What can be read; what cannot is put to the rest.
fn take<T: Clone>(reading: Reading<T>, notes: &mut Vec<Note>, wrong: &mut Vec<Diagnostic>) -> T {
    notes.extend_from_slice(reading.notes());
    wrong.extend(reading.problems().iter().map(Diagnostic::from));
    reading.tentative().clone()
}

/// Files with values are not kept for quoting: what they hold may be secret.
fn give(given: &mut GivenVariables, argument: &VariableArgument) -> Result<(), Diagnostic> {
    let read =
        |path: &Path| read_text(path).map_err(|error| unreadable(path, "file of `--variable`", &error));
    match argument {
        VariableArgument::Value { name, value } => given.set(name, value.as_str()),
        VariableArgument::FileContent { name, path } => given.set(name, read(path)?),
        VariableArgument::File { path, format } => given.file(&SourceFile::new(path, read(path)?), *format),
    }
    Ok(())
}

/// Keeps the defaults of secret variables out of what is quoted. Next to a mistake nobody knows which ones are secret,
/// and none is quoted.
pub(crate) fn conceal_secrets(read: &Reading<Manifest>, files: &mut Files) {
    let manifest = read.tentative();
    if !read.problems().is_empty() {
        for value in defaults(manifest.source.text()) {
            files.conceal(manifest.source.path(), value);
        }
    }
    for variable in manifest.variables.iter().filter(|variable| variable.secret) {
        if let Fallback::Value(value) = &variable.fallback {
            files.conceal(manifest.source.path(), value.span.clone());
        }
    }
}

fn manifest_file(from: &Path) -> PathBuf {
    if !from.is_dir() {
        return from.to_owned();
    }
    match from == Path::new(".") {
        true => PathBuf::from("spin.toml"),
        false => from.join("spin.toml"),
    }
}
