//! `outport-runc`: what containerd starts instead of runc, so that apps run under Outport.
//!
//! A runtime handler of containerd names it as `BinaryName`, and gets it started with runc's command line. What it does is
//! one edit of one file; then it is runc, with the same arguments. Namespaces, cgroups, seccomp, signals and the end of a
//! container stay runc's.
//!
//! ```text
//! runc's command line ─ command_line ─┬─ any other command ────────────────────────────────────────┐
//!                                     └─ create, run: the bundle                                   │
//!     bundle        reads config.json                                                              │
//!     container     what that says: a pod's sandbox? arguments, environment, user, mounts          │
//!     image         opens files of the container, and nothing outside of it                        │
//!     app           is it an app? ── no, an ordinary container ────────────────────────────────────┤
//!       │ authority does environment, or do arguments, say what is not theirs to say?                  │
//!       │ examine   manifest and components, or a sentence for the pod's event                     │
//!       │ artifact  no files at all: the artifact that its image is, taken out of containerd       │
//!     edit          mounts `outport`, and makes it the program                                     │
//!     bundle        replaces config.json                                                           ▼
//!                                                                                       programs: exec runc
//! ```
//!
//! [`settings`] is what the node's operator says of it. Whatever goes wrong ends in [`report`], in the form in which runc
//! says what went wrong, since that is what becomes the event of a pod.
//!
//! Everything below the container's root was written by somebody else, perhaps to harm: it is opened by [`image`] alone,
//! is read to a limit, and in bounded time.

mod app;
mod artifact;
mod authority;
mod bounds;
mod bundle;
mod command_line;
mod container;
mod edit;
mod examine;
mod image;
mod programs;
mod report;
mod settings;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::app::Found;
use crate::bounds::Bounds;
use crate::bundle::Bundle;
use crate::command_line::{CommandLine, Unseen};
use crate::container::Container;
use crate::edit::{App, Edit};
use crate::image::Image;
use crate::report::Failure;
use crate::settings::{OrdinaryContainers, Settings};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let line = CommandLine::read(&arguments);
    let failure = match become_runc(&line, &arguments) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    report::report(&failure, &line.log);
    ExitCode::FAILURE
}

fn become_runc(line: &CommandLine, arguments: &[OsString]) -> Result<std::convert::Infallible, Failure> {
    let settings = Settings::read()?;
    let runc = programs::runc(&settings)?;
    if let Some(bundle) = &line.bundle {
        prepare(bundle, &settings, Bounds::start(line.log.clone()))?;
    }
    match line
        .unseen
        .filter(|_| settings.ordinary_containers == OrdinaryContainers::Refuse)
    {
        None => {}
        Some(Unseen::Checkpoint) => return Err(Failure::Checkpoint),
        Some(Unseen::Exec) => return Err(Failure::Exec),
    }
    Err(programs::exec(&runc, arguments))
}

/// Makes the container of a bundle one of Outport's, if it is an app.
fn prepare(path: &Path, settings: &Settings, bounds: Bounds) -> Result<(), Failure> {
    let mut bundle = Bundle::read(path)?;
    let container = Container::of(&bundle)?;
    if container.is_sandbox {
        return Ok(());
    }
    let image = Image::open(&container)?;
    image.require_straight_ways()?;
    let require_own = |arguments: &[String]| {
        if container.is_trusted(settings) {
            return Ok(());
        }
        authority::require_own(&container, arguments, &image)
    };
    let app = match app::find(&container, &image) {
        Ok(Found::App(manifest)) => {
            require_own(&manifest.options)?;
            examine::examine(&manifest, &image, container.environment.clone())?;
            App::Manifest(manifest)
        }
        Ok(Found::Program(_)) if settings.ordinary_containers == OrdinaryContainers::Run => return Ok(()),
        Ok(Found::Program(program)) => return Err(Failure::OrdinaryContainer { program }),
        Err(none @ Failure::NoManifest { .. }) => {
            require_own(&[])?;
            // What comes has bounds of its own, and starts another program.
            drop(bounds);
            let brought = artifact::bring(&container, &image, path, settings)?;
            App::Artifact(brought.ok_or(none)?)
        }
        Err(failure) => return Err(failure),
    };
    let outport = programs::outport(settings)?;
    let edit = Edit::plan(&container, &image, &app, &outport, settings)?;
    edit.apply(bundle.configuration_mut());
    bundle.replace()
}
