//! `outport build`: the commands that make the components of an app.

use std::path::PathBuf;

use clap::Args;
use outport_manifest::ComponentId;

use super::up::component_id;
use crate::app_options::AppOptions;
use crate::app_problem::check_component;
use crate::building::{Plan, Told};
use crate::failure::Failure;
use crate::files::Files;
use crate::terminal::Terminal;

/// Build an app: run the `build.command` of its components.
///
/// The commands are run as they are, in the order of the manifest, with this environment and in no sandbox: build only what
/// you would run. What they write goes to standard error, behind the component's name.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The same as `-f`: a `spin.toml`, or its directory
    #[arg(value_name = "DIR_OR_FILE", conflicts_with = "from")]
    path: Option<PathBuf>,

    /// The app: a `spin.toml`, or the directory that it is in
    #[arg(
        long,
        short = 'f',
        value_name = "DIR_OR_FILE",
        default_value = ".",
        hide_default_value = true
    )]
    from: PathBuf,

    /// Build only this component; may be given several times
    #[arg(long, value_name = "ID", value_parser = component_id)]
    component: Vec<ComponentId>,

    /// Write what was built to standard output: for the watcher, which says it when it has looked at what changed meanwhile
    #[arg(long, hide = true)]
    result_on_stdout: bool,
}

pub(super) fn build(options: &Options, terminal: Terminal) -> Result<i32, Failure> {
    let from = options.path.as_ref().unwrap_or(&options.from);
    let mut files = Files::default();
    let manifest = AppOptions::of(from)?.read_to_build(&mut files)?;
    for id in &options.component {
        check_component(id, &manifest)?;
    }
    let wants = |id: &ComponentId| options.component.is_empty() || options.component.contains(id);
    let plan = Plan::of(&manifest, wants).map_err(|wrong| Failure::unusable_in(&files, wrong))?;
    let told = if options.result_on_stdout {
        Told::Output
    } else {
        Told::Terminal
    };
    plan.run(&files, told, terminal)
}
