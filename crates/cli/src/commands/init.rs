//! `outport init`: a component in the app that is here, or an app in the directory that is here.
//!
//! ```text
//! spin.toml there      ─► its reader ─► NAME/…, outport.test.toml, then the manifest with the component in it
//! no spin.toml there   ─► the files of a new app, beside what is there
//! ```
//!
//! What would clash is told before anything is written: the component's id, its route, its folder. The manifest is written
//! last, as a whole; until then nobody knows of the folder, and where it cannot be written the folder goes again. From when it
//! is read to when it is written no other `init` does either: its directory is locked.

use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use clap::Args;
use outport_check::Diagnostic;
use outport_manifest::{Manifest, Route, SourceFile};
use outport_policy::text;

use super::new::answers::{Answers, Asker, check_reserved};
use super::new::{STOPPED, name_of_directory, say_how_to_run};
use crate::failure::Failure;
use crate::files::Files;
use crate::replacement::replace;
use crate::templates::project_name::ProjectName;
use crate::templates::{self, Rendered, Start, TESTS_BEGIN, Template, Values, added, placement};
use crate::terminal::Terminal;

/// Add a component to the app in this directory, or make an app in it.
///
/// Where there is a `spin.toml`, the component gets a folder beside it, and its lines in it. Elsewhere the app is made in the
/// directory itself, beside what is there. Nothing is written over.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The template; `outport new --list` shows them all
    #[arg(value_name = "TEMPLATE", value_parser = templates::parser(), hide_possible_values = true)]
    template: Option<&'static Template>,

    /// The name of the component: words in lower case with `-` between them. By default that of the template, or in a
    /// directory without an app the directory's
    #[arg(value_name = "NAME")]
    name: Option<ProjectName>,

    /// The app: a `spin.toml`, or the directory that it is in
    #[arg(
        long,
        short = 'f',
        value_name = "DIR_OR_FILE",
        default_value = ".",
        hide_default_value = true
    )]
    from: PathBuf,

    /// The component's folder below that of the app, instead of one of its name
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,

    #[command(flatten)]
    answers: Answers,
}

pub(super) fn init(options: Options, terminal: Terminal) -> Result<i32, Failure> {
    let asker = Asker::new(&options.answers)?;
    let manifest = match options.from.is_dir() {
        true if options.from == Path::new(".") => PathBuf::from(templates::MANIFEST),
        true => options.from.join(templates::MANIFEST),
        false => options.from.clone(),
    };
    let made = match fs::symlink_metadata(&manifest) {
        Ok(_) => options.add_to(&manifest, &asker, terminal),
        Err(_) if options.from.is_dir() => options.make_in(&options.from, &asker, terminal),
        Err(error) => Err(Failure::unusable(Diagnostic::error(format!(
            "there is no app at `{}`: {error}",
            text::path(&manifest)
        )))),
    };
    let Some(template) = asker.unless_stopped(made)? else {
        return Ok(STOPPED);
    };
    say_how_to_run(terminal, template);
    Ok(0)
}

impl Options {
    /// Makes an app in a directory that has none.
    fn make_in(
        &self,
        folder: &Path,
        asker: &Asker,
        terminal: Terminal,
    ) -> Result<&'static Template, Failure> {
        if self.output.is_some() {
            let error =
                Diagnostic::error("`--output` is where a component of an app is, and there is no app here");
            return Err(Failure::unusable(error.helped_by(
                "`outport new TEMPLATE NAME --output DIR` makes an app elsewhere",
            )));
        }
        let template = asker.template(self.template, "outport init TEMPLATE")?;
        let name = match (&self.name, name_of_directory(folder)) {
            (None, Some(name)) => name,
            (name, likely) => asker.name(name.as_ref(), likely, template, "outport init")?,
        };
        check_reserved(&name, template)?;
        let values = self.answers.values(template, name, templates::WHOLE_APP, asker)?;
        let mut files = template.files(&values)?;
        // A fresh clone has these, and nothing is lost without ours.
        let is_there = |file: &Rendered| fs::symlink_metadata(folder.join(&file.path)).is_ok();
        let (kept, _) = files.iter().partition::<Vec<_>, _>(|file| {
            KEPT.iter().any(|name| file.path == Path::new(name)) && is_there(file)
        });
        let kept: Vec<PathBuf> = kept.into_iter().map(|file| file.path.clone()).collect();
        files.retain(|file| !kept.contains(&file.path));
        asker.begin_to_write();
        placement::write_into(folder, &files)?;
        for path in kept {
            terminal.say(&format!("`{}` is left as it was", text::path(&path)));
        }
        terminal.say(&format!("Made {} here. Next:", template.summary));
        Ok(template)
    }

    /// Adds a component to an app.
    fn add_to(
        &self,
        manifest: &Path,
        asker: &Asker,
        terminal: Terminal,
    ) -> Result<&'static Template, Failure> {
        let mut files = Files::default();
        let app = read(
            &files.read(manifest, "manifest").map_err(Failure::unusable)?,
            &files,
        )?;
        let template = asker.template(self.template, "outport init TEMPLATE NAME")?;
        let name = match &self.name {
            Some(name) => name.clone(),
            None => template.name.parse().map_err(anyhow::Error::new)?,
        };
        check_reserved(&name, template)?;
        check_id(&name, &app)?;
        let below = below(self.output.as_deref().unwrap_or(Path::new(name.as_str())))?;
        placement::check_free(&root_of(manifest).join(&below))?;
        let route = free_route(&name, &app);
        let mut values = self.answers.values(template, name, &route, asker)?;
        check_route(&values.route, template, &app)?;

        // While somebody answered, another `init` may have changed it: what was read until now was for the questions.
        let _alone = lock(manifest)?;
        let mut files = Files::default();
        let source = files.read(manifest, "manifest").map_err(Failure::unusable)?;
        let app = read(&source, &files)?;
        check_id(&values.name, &app)?;
        if template.start == Start::Http && self.answers.leave_the_route(asker) {
            values.route = free_route(&values.name, &app);
        }
        check_route(&values.route, template, &app)?;
        let addition = Addition::new(template, &values, &below, &source)?;
        let tests = Tests::with(&mut files, &source, &app, &addition.tests);
        asker.begin_to_write();
        let folder = root_of(manifest).join(&below);
        addition.write(&folder)?;
        tests.write(terminal);
        terminal.say(&format!(
            "Added `{}`, {}, in `{}`. Next:",
            values.name,
            template.summary,
            text::path(&folder)
        ));
        Ok(template)
    }
}

/// The folder of the app.
fn root_of(manifest: &Path) -> &Path {
    manifest.parent().unwrap_or(Path::new(""))
}

/// Waits until no other command changes the app, by whatever name it knows it.
pub(crate) fn lock(manifest: &Path) -> Result<fs::File, Failure> {
    let file = manifest
        .canonicalize()
        .map_err(|error| placement::unwritable(manifest, &error))?;
    placement::lock(root_of(&file))
}

/// The whole app, or a part of its own.
fn free_route(name: &ProjectName, app: &Manifest) -> String {
    match route_of(templates::WHOLE_APP, app) {
        None => templates::WHOLE_APP.to_owned(),
        Some(_) => format!("/{name}/..."),
    }
}

/// A component with the manifest that has it.
struct Addition {
    manifest: SourceFile,
    /// The tests of the component alone.
    tests: String,
    /// The files in its folder.
    own: Vec<Rendered>,
}

impl Addition {
    fn new(template: &Template, values: &Values, below: &str, before: &SourceFile) -> Result<Self, Failure> {
        let rendered = template.files(values)?;
        let text = added::component(
            before.text(),
            templates::manifest(&rendered),
            (&values.name, template.start),
            below,
        )
        .map_err(|error| unchanged(before, &error))?;
        // The author may have written tables in a way that takes nothing more.
        let manifest = SourceFile::new(before.path(), text);
        if let Err(wrong) = Manifest::parse(&manifest).complete() {
            let first = wrong.0.first().map(ToString::to_string).unwrap_or_default();
            return Err(unchanged(before, &first));
        }
        Ok(Self {
            manifest,
            tests: templates::policy_tests(&rendered).to_owned(),
            own: rendered
                .into_iter()
                .filter(|file| !APPS_OWN.iter().any(|name| file.path == Path::new(name)))
                .collect(),
        })
    }

    /// Writes the folder, and the manifest last.
    fn write(&self, folder: &Path) -> Result<(), Failure> {
        let place = self.manifest.path();
        placement::write_folder(folder, &self.own)?;
        replace_text(place, self.manifest.text()).map_err(|error| {
            placement::remove(folder);
            placement::unwritable(place, &error)
        })
    }
}

/// Replaces the text of a file, which keeps its byte order mark: whoever read it left that out.
fn replace_text(path: &Path, text: &str) -> io::Result<()> {
    let mut begin = Vec::new();
    fs::File::open(path)?
        .take(BYTE_ORDER_MARK.len() as u64)
        .read_to_end(&mut begin)?;
    if begin == BYTE_ORDER_MARK.as_bytes() {
        replace(path, &format!("{BYTE_ORDER_MARK}{text}"))
    } else {
        replace(path, text)
    }
}

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What an app has once, whatever components it has.
const APPS_OWN: [&str; 2] = [templates::MANIFEST, templates::POLICY_TESTS];

/// What a directory that becomes an app may have before.
const KEPT: [&str; 2] = ["README.md", ".gitignore"];

/// The app that is there, which has to be one.
fn read(source: &SourceFile, files: &Files) -> Result<Manifest, Failure> {
    match Manifest::parse(source).complete() {
        Ok((app, _)) => Ok(app),
        Err(problems) => Err(Failure::unusable_in(
            files,
            problems.0.iter().map(Diagnostic::from).collect(),
        )),
    }
}

fn check_id(name: &ProjectName, app: &Manifest) -> Result<(), Failure> {
    let other = app
        .components
        .iter()
        .find(|one| one.id.value.as_str() == name.as_str());
    let Some(other) = other else { return Ok(()) };
    let error = Diagnostic::error(format!("there is a component `{name}` already"));
    Err(Failure::unusable(
        error
            .at(app.source.location(&other.id.span))
            .helped_by("write another name: `outport init TEMPLATE NAME`"),
    ))
}

fn check_route(route: &str, template: &Template, app: &Manifest) -> Result<(), Failure> {
    let taken = match template.start {
        Start::Http => route_of(route, app),
        Start::Command => None,
    };
    let Some(location) = taken else { return Ok(()) };
    let error = Diagnostic::error(format!("the route `{route}` is taken already"));
    Err(Failure::unusable(
        error.at(location).helped_by("write another one: `--route ROUTE`"),
    ))
}

/// Where the app has that route.
fn route_of(route: &str, app: &Manifest) -> Option<outport_policy::Location> {
    let own = app
        .http_triggers
        .iter()
        .find(|trigger| match &trigger.route.value {
            Route::Path(path) => path.to_string() == route,
            _ => false,
        });
    own.map(|trigger| app.source.location(&trigger.route.span))
}

/// A folder below that of the app, as it is written in the manifest.
fn below(folder: &Path) -> Result<String, Failure> {
    let names: Option<Vec<&str>> = folder
        .components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    match names {
        Some(names) if !names.is_empty() => Ok(names.join("/")),
        _ => {
            let shown = text::path(folder);
            let error = Diagnostic::error(format!("`{shown}` is not a folder below that of the app"));
            Err(Failure::unusable(
                error.helped_by("write one such as `components/web`"),
            ))
        }
    }
}

fn unchanged(source: &SourceFile, error: &dyn std::fmt::Display) -> Failure {
    let shown = text::path(source.path());
    Failure::unusable(
        Diagnostic::error(format!(
            "nothing can be added to `{shown}` as it is written: {error}"
        ))
        .helped_by("write its triggers as `[[trigger.http]]` and its components as `[component.ID]`"),
    )
}

/// The file of tests with those of the new component.
enum Tests {
    /// There is one, and what it is to hold.
    Changed(PathBuf, String),
    /// There is none, and what it is to hold.
    New(PathBuf, String),
    /// The one that there is cannot be changed.
    Left(String),
}

impl Tests {
    fn with(files: &mut Files, manifest: &SourceFile, app: &Manifest, rendered: &str) -> Self {
        let path = manifest.path().with_file_name(templates::POLICY_TESTS);
        let new = rendered.strip_prefix(TESTS_BEGIN).unwrap_or(rendered);
        if fs::symlink_metadata(&path).is_err() {
            return Self::New(path, rendered.to_owned());
        }
        let only = match &*app.components {
            [only] => Some(only.id.value.as_str()),
            _ => None,
        };
        let file = match files.read(&path, "file of policy tests") {
            Ok(file) => file,
            Err(error) => return Self::Left(error.message),
        };
        match added::tests(file.text(), only, new) {
            Ok(text) => Self::Changed(path, text),
            Err(error) => Self::Left(error.to_string()),
        }
    }

    /// Writes it, or says why not: the component is there in any case.
    fn write(self, terminal: Terminal) {
        let why = match self {
            Self::Changed(path, text) => replace_text(&path, &text).err().map(|error| error.to_string()),
            Self::New(path, text) => fs::File::create_new(&path)
                .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
                .err()
                .map(|error| error.to_string()),
            Self::Left(why) => Some(why),
        };
        if let Some(why) = why {
            let name = templates::POLICY_TESTS;
            let warning = Diagnostic::warning(format!("`{name}` has no tests of the component: {why}"));
            terminal.show(&warning, &Files::default());
        }
    }
}
