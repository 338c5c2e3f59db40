//! The bundle of a container: `config.json`, read and replaced.
//!
//! containerd made it, as root, for this container alone. Texts in it are of the pod and of the image. It is replaced as a
//! whole, so that whatever happens runc finds the old file or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::report::Failure;

/// Environments and annotations of a pod are kilobytes, and at most a few MiB.
const LONGEST: u64 = 32 << 20;

/// A bundle that was read.
#[derive(Debug)]
pub(crate) struct Bundle {
    directory: PathBuf,
    file: PathBuf,
    mode: u32,
    configuration: Value,
}

impl Bundle {
    /// Reads `config.json` of the bundle in this directory.
    pub(crate) fn read(directory: &Path) -> Result<Self, Failure> {
        let file = directory.join("config.json");
        let failure = |problem: &dyn std::fmt::Display| {
            Failure::bundle(&file, format_args!("cannot be read: {problem}"))
        };
        let opened = File::open(&file).map_err(|error| failure(&error))?;
        let mode = opened
            .metadata()
            .map_err(|error| failure(&error))?
            .permissions()
            .mode()
            & 0o777;
        let mut text = Vec::new();
        opened
            .take(LONGEST + 1)
            .read_to_end(&mut text)
            .map_err(|error| failure(&error))?;
        if text.len() as u64 > LONGEST {
            return Err(failure(&format_args!("it is longer than {} MiB", LONGEST >> 20)));
        }
        let configuration = serde_json::from_slice(&text).map_err(|error| failure(&error))?;
        Ok(Self {
            directory: directory.to_owned(),
            file,
            mode,
            configuration,
        })
    }

    /// The directory of the bundle, from which its paths start.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of `config.json`.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn configuration(&self) -> &Value {
        &self.configuration
    }

    pub(crate) fn configuration_mut(&mut self) -> &mut Value {
        &mut self.configuration
    }

    /// Puts the configuration, as it is now, in the place of the one that was read.
    pub(crate) fn replace(&self) -> Result<(), Failure> {
        let new = self
            .directory
            .join(format!(".config.json.{}", std::process::id()));
        let written = self.write(&new).and_then(|()| fs::rename(&new, &self.file));
        written.map_err(|error| {
            let _ = fs::remove_file(&new);
            Failure::bundle(&self.file, format_args!("cannot be replaced: {error}"))
        })
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(self.configuration.to_string().as_bytes())?;
        file.set_permissions(fs::Permissions::from_mode(self.mode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_replaced_as_a_whole_and_keeps_its_mode() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        fs::write(&path, r#"{"a":18446744073709551615,"b":-1}"#).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a mode");
        let mut bundle = Bundle::read(folder.path()).expect("a bundle");
        bundle.configuration_mut()["b"] = "x".into();
        bundle.replace().expect("replaced");
        let written = fs::read_to_string(&path).expect("it is there");
        assert_eq!(written, r#"{"a":18446744073709551615,"b":"x"}"#);
        assert_eq!(
            fs::metadata(&path).expect("it is there").permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1);
    }

    #[test]
    fn a_bundle_without_a_configuration_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let said = Bundle::read(folder.path())
            .expect_err("nothing there")
            .to_string();
        assert!(
            said.contains("config.json cannot be read: No such file"),
            "{said}"
        );
        fs::write(folder.path().join("config.json"), "{").expect("written");
        let said = Bundle::read(folder.path()).expect_err("no JSON").to_string();
        assert!(said.contains("config.json cannot be read: EOF"), "{said}");
    }
}
