//! The programs that this one needs: runc, which it becomes, `outport`, which it mounts, and `ctr`, which it asks for images
//! that are no container images.
//!
//! | program | looked for |
//! | --- | --- |
//! | runc | `runc` of the settings; else the first one of PATH that is not this program |
//! | outport | `outport` of the settings; else beside this program; else the first one of PATH |
//! | ctr | `artifacts.ctr` of the settings; else the first one of PATH |
//!
//! A program of this name that is a link to this one would start itself for ever: it is passed over on PATH, and refused
//! where the settings name it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::report::Failure;
use crate::settings::Settings;

/// Set for runc, so that a copy of this program that is called runc is noticed.
const BECAME: &str = "OUTPORT_RUNC_BECAME_RUNC";

/// Where PATH is not set, which containerd's environment may lack.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Finds runc.
pub(crate) fn runc(settings: &Settings) -> Result<PathBuf, Failure> {
    let own = own();
    if std::env::var_os(BECAME).is_some() {
        let path = own.unwrap_or_default();
        let problem =
            "it is outport-runc, where runc should be; name runc by `runc` in /etc/outport/runc.toml";
        return Err(unusable(&path, problem));
    }
    let this = own.and_then(|path| fs::metadata(path).ok());
    let is_this = |metadata: &Metadata| {
        this.as_ref()
            .is_some_and(|this| (this.dev(), this.ino()) == (metadata.dev(), metadata.ino()))
    };
    match &settings.runc {
        Some(path) if is_this(&program(path)?) => {
            Err(unusable(path, "it is outport-runc itself, and runc is wanted"))
        }
        Some(path) => Ok(path.clone()),
        None => on_path(|candidate| program(&candidate.join("runc")).is_ok_and(|found| !is_this(&found)))
            .map(|folder| folder.join("runc"))
            .ok_or(Failure::NoProgram { name: "runc" }),
    }
}

/// Finds `outport`.
pub(crate) fn outport(settings: &Settings) -> Result<PathBuf, Failure> {
    let path = match &settings.outport {
        Some(path) => path.clone(),
        None => beside()
            .or_else(|| {
                on_path(|folder| program(&folder.join("outport")).is_ok())
                    .map(|folder| folder.join("outport"))
            })
            .ok_or(Failure::NoProgram { name: "outport" })?,
    };
    let found = program(&path)?;
    if found.mode() & 0o022 != 0 {
        return Err(unusable(
            &path,
            "others than its owner may write to it, and every pod would run it",
        ));
    }
    path.canonicalize().map_err(|error| unusable(&path, error))
}

/// Finds containerd's client.
pub(crate) fn ctr(settings: &Settings) -> Result<PathBuf, Failure> {
    match &settings.artifacts.ctr {
        Some(path) => program(path).map(|_| path.clone()),
        None => on_path(|folder| program(&folder.join("ctr")).is_ok())
            .map(|folder| folder.join("ctr"))
            .ok_or(Failure::NoProgram { name: "ctr" }),
    }
}

/// Becomes runc. Comes back only if that fails.
pub(crate) fn exec(runc: &Path, arguments: &[OsString]) -> Failure {
    let error = Command::new(runc).args(arguments).env(BECAME, "1").exec();
    unusable(runc, error)
}

fn own() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

fn beside() -> Option<PathBuf> {
    let path = own()?.with_file_name("outport");
    program(&path).is_ok().then_some(path)
}

/// The first directory of PATH for which something holds.
fn on_path(mut holds: impl FnMut(&Path) -> bool) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").filter(|path| !path.is_empty());
    let path = path.as_deref().unwrap_or(OsStr::new(USUAL_PATH));
    std::env::split_paths(path).find(|folder| folder.is_absolute() && holds(folder))
}

/// What the system says of a program.
fn program(path: &Path) -> Result<Metadata, Failure> {
    let metadata = fs::metadata(path).map_err(|error| unusable(path, error))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(unusable(path, "it is not a program"));
    }
    Ok(metadata)
}

fn unusable(path: &Path, problem: impl ToString) -> Failure {
    Failure::Program {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}
