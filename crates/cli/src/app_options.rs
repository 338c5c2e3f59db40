//! The app that is meant, read: its manifest, the values of its variables, and the entries that come of both.
//!
//! Everything that is wrong with any of them is told at once.

use std::collections::HashMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use outport_manifest::{
    ComponentId, Fallback, GivenVariables, Manifest, Note, Reading, Remark, SourceFile, VariableArgument,
    Variables,
};
use outport_policy::{Entry, Location, text};
use outport_runtime::regular_file;

use crate::defaults::defaults;
use crate::diagnostic::Diagnostic;
use crate::failure::Failure;
use crate::files::{Files, read_own_text, read_text, unreadable};

/// Which app, and what its variables are.
#[derive(Debug, Clone, Args)]
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

impl AppOptions {
    /// Reads the app.
    pub(crate) fn read(&self, files: &mut Files) -> Result<WrittenApp, Failure> {
        let source = self.read_manifest(files).map_err(Failure::unusable)?;
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
            // The variable that is missing may be there under another name.
            let misspelled = notes
                .iter()
                .filter(|note| matches!(note.remark, Remark::NearlyAVariable { .. }));
            wrong.extend(misspelled.map(Diagnostic::from));
            return Err(Failure::unusable_in(files, wrong));
        }
        Ok(WrittenApp {
            manifest,
            variables,
            entries,
            // What is accepted without effect is for `check` to tell, not for each start.
            remarks: notes
                .iter()
                .filter(|note| !matches!(note.remark, Remark::NotUsed { .. }))
                .map(Diagnostic::from)
                .collect(),
        })
    }

    /// The same with the app that is named without `-f`, if one is.
    pub(crate) fn at(&self, path: Option<&Path>) -> AppOptions {
        let mut options = self.clone();
        options.from = path.map_or(options.from, Path::to_owned);
        options
    }

    /// The text of the manifest.
    pub(crate) fn read_manifest(&self, files: &mut Files) -> Result<SourceFile, Diagnostic> {
        let path = self.manifest_file();
        if is_webassembly(&path) {
            let shown = text::path(&path);
            let error = Diagnostic::error(format!("`{shown}` is WebAssembly, not the manifest of an app"));
            let advice = format!(
                "a component without a manifest runs with `outport run {shown}`, or answers HTTP with `outport serve {shown}`"
            );
            return Err(error.advising(advice));
        }
        files.read(&path, "manifest").map_err(|unreadable| {
            unreadable
                .advising("run Outport where the app's `spin.toml` is, or say where with `-f DIR_OR_FILE`")
        })
    }

    /// The file that the manifest is in.
    fn manifest_file(&self) -> PathBuf {
        manifest_file(&self.from)
    }

    pub(crate) fn given_variables(&self, wrong: &mut Vec<Diagnostic>) -> GivenVariables {
        let mut given = GivenVariables::default();
        given.environment(std::env::vars_os());
        let dotenv = self.manifest_file().with_file_name(".env");
        match fs::symlink_metadata(&dotenv) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            _ => match read_own_text(&dotenv) {
                Ok(text) => given.dotenv(&SourceFile::new(&dotenv, text)),
                Err(error) => wrong.push(unreadable(&dotenv, "file of variables", &error)),
            },
        }
        for argument in &self.variable {
            if let Err(unreadable) = give(&mut given, argument) {
                let option = Location::Option {
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
        VariableArgument::FileContent { name, path } => given.set(name, without_final_line_end(&read(path)?)),
        VariableArgument::File { path, format } => given.file(&SourceFile::new(path, read(path)?), *format),
    }
    Ok(())
}

/// Editors and `echo` end a file with a line end, which is no part of a host or password.
fn without_final_line_end(text: &str) -> &str {
    let bare = text.strip_suffix('\n').unwrap_or(text);
    match bare.len() < text.len() {
        true => bare.strip_suffix('\r').unwrap_or(bare),
        false => bare,
    }
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

/// What cannot be read is told of by whoever reads it.
fn is_webassembly(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = regular_file::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == *b"\0asm"
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
