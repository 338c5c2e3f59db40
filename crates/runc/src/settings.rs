//! What the node's operator says: `/etc/outport/runc.toml`, or the file that `OUTPORT_RUNC_CONFIG` names.
//!
//! ```toml
//! runc = "/usr/sbin/runc"               # default: `runc` of PATH
//! outport = "/opt/outport/bin/outport"  # default: beside this program, else `outport` of PATH; a static binary
//! config = "/etc/outport/pods"          # a directory with an outport.toml that every app gets
//! options = ["--max-instances", "200"]  # options of `outport up` that every app gets
//! ordinary-containers = "refuse"        # default: "run"
//! trusted-containers = true             # default: false; environment and arguments may say everything
//!
//! [artifacts]                           # images in Spin's OCI layout, which have to be asked for
//! ctr = "/usr/bin/ctr"                  # default: `ctr` of PATH
//! address = "/run/containerd/containerd.sock"  # default
//! namespace = "k8s.io"                  # default
//! max-bytes = 536870912                 # default
//! ```
//!
//! Without the file everything is as by default. A file that was named has to be there. What is given as `options` stands
//! on the command line, so it counts before what a pod or an image says by its environment; lists add up.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;

use crate::report::Failure;

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "/etc/outport/runc.toml";

/// What names another file.
const VARIABLE: &str = "OUTPORT_RUNC_CONFIG";

/// The settings of a node.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    /// The path of runc.
    pub(crate) runc: Option<PathBuf>,
    /// The path of the static `outport`.
    pub(crate) outport: Option<PathBuf>,
    /// A directory with an `outport.toml`.
    pub(crate) config: Option<PathBuf>,
    /// Options of `outport up`.
    pub(crate) options: Vec<String>,
    /// What becomes of containers that are no apps.
    pub(crate) ordinary_containers: OrdinaryContainers,
    /// True if an image may decide what the operator does: whoever deploys pods answers for all that is in them.
    pub(crate) trusted_containers: bool,
    /// How images that are no container images are had.
    pub(crate) artifacts: Artifacts,
}

/// How images that are no container images are had from containerd.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Artifacts {
    /// The path of containerd's client.
    pub(crate) ctr: Option<PathBuf>,
    /// The socket of containerd.
    pub(crate) address: PathBuf,
    /// The namespace of Kubernetes' images in it.
    pub(crate) namespace: String,
    /// The most bytes of one image.
    pub(crate) max_bytes: u64,
}

impl Default for Artifacts {
    fn default() -> Self {
        Self {
            ctr: None,
            address: "/run/containerd/containerd.sock".into(),
            namespace: "k8s.io".to_owned(),
            max_bytes: 512 << 20,
        }
    }
}

/// What becomes of a container with a program of its own, in a pod of this runtime class.
#[derive(Debug, Default, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OrdinaryContainers {
    /// It is runc's alone: a sidecar.
    #[default]
    Run,
    /// It is not started.
    Refuse,
}

impl Settings {
    /// Reads the file.
    pub(crate) fn read() -> Result<Self, Failure> {
        let named = std::env::var_os(VARIABLE).filter(|name| !name.is_empty());
        Self::read_from(named)
    }

    fn read_from(named: Option<OsString>) -> Result<Self, Failure> {
        let path = named.as_deref().map_or(Path::new(DEFAULT_FILE), Path::new);
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
                return Ok(Self::default());
            }
            Err(error) => return Err(Failure::settings(path, &error)),
        };
        let settings: Self =
            toml::from_str(&text).map_err(|error| Failure::settings(path, &first_line(&error)))?;
        let paths = [
            ("runc", settings.runc.as_ref()),
            ("outport", settings.outport.as_ref()),
            ("config", settings.config.as_ref()),
            ("artifacts.ctr", settings.artifacts.ctr.as_ref()),
            ("artifacts.address", Some(&settings.artifacts.address)),
        ];
        for (key, value) in paths {
            if value.is_some_and(|value| !value.is_absolute()) {
                return Err(Failure::settings(
                    path,
                    &format!("`{key}` has to be an absolute path"),
                ));
            }
        }
        Ok(settings)
    }
}

/// What is wrong and where, without the picture of the line, which has several.
fn first_line(error: &toml::de::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned() + ": " + error.message()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("runc.toml");
        fs::write(&path, text).expect("written");
        Settings::read_from(Some(path.into())).map_err(|failure| failure.to_string())
    }

    #[test]
    fn every_key_is_read() {
        let settings = read(
            "runc = '/r'\noutport = '/o'\nconfig = '/c'\noptions = ['--max-instances', '2']\nordinary-containers = 'refuse'\n\
             trusted-containers = true\n\
             [artifacts]\nctr = '/ctr'\naddress = '/a'\nnamespace = 'n'\nmax-bytes = 7",
        );
        let expected = Settings {
            runc: Some("/r".into()),
            outport: Some("/o".into()),
            config: Some("/c".into()),
            options: vec!["--max-instances".into(), "2".into()],
            ordinary_containers: OrdinaryContainers::Refuse,
            trusted_containers: true,
            artifacts: Artifacts {
                ctr: Some("/ctr".into()),
                address: "/a".into(),
                namespace: "n".to_owned(),
                max_bytes: 7,
            },
        };
        assert_eq!(settings, Ok(expected));
        assert_eq!(read(""), Ok(Settings::default()));
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let rows = [
            ("outprot = '/o'", "line 1, column 1"),
            ("\nordinary-containers = 'maybe'", "line 2"),
            ("runc = 'runc'", "`runc` has to be an absolute path"),
            (
                "artifacts.address = 'c.sock'",
                "`artifacts.address` has to be an absolute path",
            ),
            ("artifacts.max-bytes = -1", "line 1"),
            ("runc = 7", "line 1"),
        ];
        for (text, expected) in rows {
            let said = read(text).expect_err(text);
            assert!(
                said.contains("runc.toml") && said.contains(expected),
                "{text}: {said}"
            );
            assert!(!said.contains('\n'), "{said}");
        }
    }

    #[test]
    fn a_file_that_was_named_has_to_be_there() {
        let failure = Settings::read_from(Some("/nowhere/runc.toml".into())).expect_err("missing");
        assert!(failure.to_string().contains("/nowhere/runc.toml"), "{failure}");
    }
}
