//! The app that is meant, read: its manifest, the values of its variables, and the entries that come of both.
//!
//! Everything that is wrong with any of them is told at once.

use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, FromArgMatches};
use outport_check::Diagnostic;
use outport_files::regular_file;
use outport_manifest::{
    AppReading, Fallback, GivenVariables, Manifest, Note, Problems, Reading, Remark, ResolvedApp, ServerUrl,
    SourceFile, StateDir, VariableArgument,
};
use outport_policy::{Location, text};

use crate::failure::Failure;
use crate::fetching::FetchArguments;
use crate::files::{Files, read_own_text, read_text, unreadable};
use crate::load_options::LoadOptions;
use crate::reference_options::{Artifact, ReferenceOptions, RegistryArguments, named_reference};
use crate::terminal::Terminal;
use crate::written_values::{values_of, values_with_urls};

/// The help of `-f` for commands that change or read what is beside the manifest, and take no reference.
pub(crate) const LOCAL_APP: &str = "The app: a `spin.toml`, or the directory that it is in";

/// The app, and the values of its variables.
#[derive(Debug, Clone, Args)]
pub(crate) struct AppOptions {
    /// The app: a `spin.toml`, the directory that it is in, or a reference such as `ghcr.io/me/app:1.0`
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

    #[command(flatten)]
    pub(crate) fetching: FetchArguments,

    #[command(flatten)]
    references: ReferenceOptions,

    /// Where the app is from, once it was pulled.
    #[arg(skip)]
    artifact: Option<Artifact>,
}

/// The way to what was read, with all notes, or to all that is wrong with it.
type Complete = fn(AppReading) -> Result<(ResolvedApp, Vec<Note>), Problems>;

impl AppOptions {
    /// Reads the app to run it. What is worth saying about it is put to `remarks`.
    pub(crate) fn read(
        &self,
        files: &mut Files,
        remarks: &mut Vec<Diagnostic>,
    ) -> Result<ResolvedApp, Failure> {
        self.read_as(AppReading::complete, files, remarks)
    }

    /// Reads the app to ask what it may reach: what only running it needs may be missing.
    pub(crate) fn read_to_judge(&self, files: &mut Files) -> Result<ResolvedApp, Failure> {
        // What is worth saying is for `check` and `up` to tell.
        self.read_as(AppReading::complete_to_judge, files, &mut Vec::new())
    }

    fn read_as(
        &self,
        complete: Complete,
        files: &mut Files,
        remarks: &mut Vec<Diagnostic>,
    ) -> Result<ResolvedApp, Failure> {
        let source = self.read_manifest(files).map_err(Failure::unusable)?;
        let mut wrong = Vec::new();
        let reading = self.resolve(&source, files, &mut wrong);
        let is_sound = reading.problems_of_manifest().is_empty();
        if !is_sound {
            // What is wrong with values may come of it.
            wrong.clear();
        }
        // The variable that is missing may be there under another name.
        let misspelled: Vec<Diagnostic> = reading
            .notes()
            .filter(|note| is_sound && matches!(note.remark, Remark::NearlyAVariable { .. }))
            .map(Diagnostic::from)
            .collect();
        match complete(reading) {
            Ok((app, notes)) if wrong.is_empty() => {
                // What is accepted without effect is for `check` to tell, not for each start.
                let worth_saying = notes
                    .iter()
                    .filter(|note| !matches!(note.remark, Remark::NotUsed { .. }));
                remarks.extend(worth_saying.map(Diagnostic::from));
                Ok(app)
            }
            Ok(_) => Err(Failure::unusable_in(files, [wrong, misspelled].concat())),
            Err(problems) => {
                wrong.extend(problems.0.iter().map(Diagnostic::from));
                Err(Failure::unusable_in(files, [wrong, misspelled].concat()))
            }
        }
    }

    /// The app at a path, with nothing else said of it.
    pub(crate) fn of(from: &Path) -> Result<Self, Failure> {
        let command = Self::augment_args(clap::Command::new("outport"));
        let matches = command.try_get_matches_from(["outport"]);
        let options = matches.and_then(|matches| Self::from_arg_matches(&matches));
        Ok(options
            .context("the options of an app have no defaults")?
            .at(Some(from)))
    }

    /// Reads the manifest to build what it names, which needs no values of variables.
    pub(crate) fn read_to_build(&self, files: &mut Files) -> Result<Manifest, Failure> {
        let source = self.read_manifest(files).map_err(Failure::unusable)?;
        let reading = Manifest::parse(&source);
        conceal_secrets(&reading, files);
        let (manifest, _) = reading.complete().map_err(|problems| {
            Failure::unusable_in(files, problems.0.iter().map(Diagnostic::from).collect())
        })?;
        Ok(manifest)
    }

    /// The files that values of variables come from: `.env`, whether or not there is one, and those of `--variable`.
    pub(crate) fn files_of_variables(&self) -> Vec<PathBuf> {
        let named = self.variable.iter().filter_map(|argument| match argument {
            VariableArgument::Value { .. } => None,
            VariableArgument::FileContent { path, .. } | VariableArgument::File { path, .. } => {
                Some(path.clone())
            }
        });
        let dotenv = self.manifest_file().with_file_name(".env");
        std::iter::once(dotenv).chain(named).collect()
    }

    /// The reference of a registry that the app is named by, if it is.
    pub(crate) fn named_reference(&self) -> Option<String> {
        named_reference(&self.from).map(|reference| reference.to_string())
    }

    /// Fills in the values of the variables, whatever is wrong with them or the manifest. What cannot be read at all is
    /// put to the rest.
    pub(crate) fn resolve(
        &self,
        source: &SourceFile,
        files: &mut Files,
        wrong: &mut Vec<Diagnostic>,
    ) -> AppReading {
        let manifest = Manifest::parse(source);
        conceal_secrets(&manifest, files);
        ResolvedApp::resolve(manifest, &self.given_variables(wrong))
    }

    /// The same with the app that is named without `-f`, if one is.
    pub(crate) fn at(&self, path: Option<&Path>) -> Self {
        let mut options = self.clone();
        options.from = path.map_or(options.from, Path::to_owned);
        options
    }

    /// The same with the folder of what is named by a reference, which is pulled.
    pub(crate) fn pulled(self, loading: &LoadOptions, terminal: Terminal) -> Result<Self, Failure> {
        match self.artifact_of(loading, terminal)? {
            Some(artifact) => self.pulled_as(artifact),
            None => Ok(self),
        }
    }

    /// What is named by a reference, which is pulled; nothing where a path is named.
    pub(crate) fn artifact_of(
        &self,
        loading: &LoadOptions,
        terminal: Terminal,
    ) -> Result<Option<Artifact>, Failure> {
        let client = &self.fetching.client;
        self.references.pulled(&self.from, client, loading, terminal)
    }

    /// The same with the folder of an artifact.
    pub(crate) fn pulled_as(mut self, artifact: Artifact) -> Result<Self, Failure> {
        self.from = artifact.app()?.to_owned();
        self.fetching.reach = artifact.reach();
        self.artifact = Some(artifact);
        self.fetching.is_from_afar = true;
        Ok(self)
    }

    /// What has to be true of what is pulled.
    pub(crate) fn references(&self) -> &ReferenceOptions {
        &self.references
    }

    /// How registries are asked.
    pub(crate) fn registries(&self) -> &RegistryArguments {
        self.references.registries()
    }

    /// The artifact that the app is from, if it was pulled.
    pub(crate) fn artifact(&self) -> Option<&Artifact> {
        self.artifact.as_ref()
    }

    /// Where the app keeps what it keeps, unless the operator says where.
    pub(crate) fn state_dir(&self) -> StateDir {
        match &self.artifact {
            // The cache is no place for what should stay.
            Some(_) => StateDir::None,
            None => StateDir::beside(&self.manifest_file()),
        }
    }

    /// The text of the manifest.
    pub(crate) fn read_manifest(&self, files: &mut Files) -> Result<SourceFile, Diagnostic> {
        let path = self.manifest_file();
        if is_webassembly(&path) {
            let shown = text::path(&path);
            let error = Diagnostic::error(format!("`{shown}` is WebAssembly, not the manifest of an app"));
            let advice = format!(
                "a component without a manifest runs with `outport run {shown}`, or answers HTTP with \
                 `outport serve {shown}`"
            );
            return Err(error.helped_by(advice));
        }
        let shown = self.artifact.as_ref().map(Artifact::manifest_name);
        let read = match &shown {
            Some(shown) => files.read_shown_as(&path, "manifest", shown),
            None => files.read(&path, "manifest"),
        };
        read.map_err(|unreadable| {
            // Whoever takes references has pulled by now.
            if let Some(reference) = named_reference(&self.from) {
                return unreadable.helped_by(format!(
                    "this command takes an app of this machine; pull it first: `outport pull {reference} DIR`"
                ));
            }
            unreadable.helped_by(
                "run Outport where the app's `spin.toml` is, or say where with `-f`: a directory or a file",
            )
        })
    }

    /// The file that the manifest is in.
    pub(crate) fn manifest_file(&self) -> PathBuf {
        manifest_file(&self.from)
    }

    /// The same, if it is the author's to write to: one from a registry is nobody's.
    pub(crate) fn own_manifest(&self) -> Option<PathBuf> {
        self.artifact().is_none().then(|| self.manifest_file())
    }

    fn given_variables(&self, wrong: &mut Vec<Diagnostic>) -> GivenVariables {
        let mut given = GivenVariables::default();
        given.environment(std::env::vars_os());
        let dotenv = self.manifest_file().with_file_name(".env");
        match fs::symlink_metadata(&dotenv) {
            // What came with an app is its author's, and values are the operator's.
            _ if self.artifact.is_some() => {}
            Err(error) if regular_file::is_missing(&error) => {}
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
    if bare.len() < text.len() {
        bare.strip_suffix('\r').unwrap_or(bare)
    } else {
        bare
    }
}

/// Keeps the defaults of secret variables out of what is quoted, and passwords of triggers. Next to a mistake nobody knows
/// which ones are secret, and none is quoted.
fn conceal_secrets(read: &Reading<Manifest>, files: &mut Files) {
    let manifest = read.tentative();
    if !read.problems().is_empty() {
        for value in values_of("default", manifest.source.text()) {
            files.conceal(manifest.source.path(), value);
        }
    }
    for variable in manifest.variables.iter().filter(|variable| variable.secret) {
        if let Fallback::Value(value) = &variable.fallback {
            files.conceal(manifest.source.path(), value.span.clone());
        }
    }
    let text = manifest.source.text();
    for address in values_of("address", text).filter(|address| text[address.clone()].contains('@')) {
        for part in ServerUrl::hidden_parts(&text[address.clone()]) {
            let part = address.start + part.start..address.start + part.end;
            files.conceal(manifest.source.path(), part);
        }
    }
    // Of a variable that is called so, what is behind it is a table.
    let is_text = |value: &Range<usize>| text[..value.start].ends_with(['"', '\'']);
    // Of code from elsewhere a user, a password, and what follows the `?`, which may be a signature.
    let urls = values_of("url", text).filter(is_text);
    for url in urls.chain(values_with_urls(text)) {
        let written = &text[url.clone()];
        let query = written.find(['?', '#']).unwrap_or(written.len());
        let [user, _] = ServerUrl::hidden_parts(written);
        for part in [user, query..written.len()] {
            files.conceal(
                manifest.source.path(),
                url.start + part.start..url.start + part.end,
            );
        }
    }
    for password in values_of("password", text).filter(is_text) {
        files.conceal(manifest.source.path(), password);
    }
}

/// True if the file begins as WebAssembly. A file that cannot be read is told of by whoever reads it.
pub(crate) fn is_webassembly(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = regular_file::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == *b"\0asm"
}

fn manifest_file(from: &Path) -> PathBuf {
    if !from.is_dir() {
        return from.to_owned();
    }
    if from == Path::new(".") {
        PathBuf::from("spin.toml")
    } else {
        from.join("spin.toml")
    }
}
