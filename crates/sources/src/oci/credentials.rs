//! The operator's credentials for registries, from where his other tools keep them.
//!
//! The first place that has some for a host counts: `config.json` in `DOCKER_CONFIG` or `~/.docker`, then `auth.json` in
//! `REGISTRY_AUTH_FILE` or `$XDG_RUNTIME_DIR/containers`. Both may name a helper, a program that is asked. A place that
//! cannot be read, or a helper that fails or takes its time, is an error rather than a request without credentials: what is
//! public for everybody may not be what was meant.

use std::env;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use outport_manifest::Secret;
use outport_policy::text;
use rustix::fs::OFlags;

use super::reference::RegistryHost;

/// What a registry is told about who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    None,
    /// A user and a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token that is exchanged for others.
    Identity(Secret),
}

/// The reason why it is not known what to tell.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The file is there, and cannot be read or understood.
    #[error("the credentials in `{path}` cannot be read: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A helper is named there, and failed.
    #[error("the credential helper that `{path}` names for {host} failed: {reason}")]
    Helper {
        /// The file.
        path: String,
        /// The registry.
        host: String,
        /// What is wrong; nothing that the helper said, which could hold the secret.
        reason: &'static str,
    },
}

/// The time that a helper may take; some ask a person.
const HELPER_TIME: Duration = Duration::from_secs(60);

impl Credentials {
    /// A user and a password.
    pub fn basic(user: impl Into<String>, password: &str) -> Self {
        Self::Basic {
            user: user.into(),
            password: Secret::new(password),
        }
    }

    /// Those for a registry, if there are any. Takes as long as a helper does, a minute at most.
    ///
    /// # Errors
    ///
    /// A file or helper that should tell does not.
    pub fn find(host: &RegistryHost) -> Result<Self, CredentialError> {
        for path in files() {
            let found = in_file(&path, host, HELPER_TIME)?;
            if found != Self::None {
                return Ok(found);
            }
        }
        Ok(Self::None)
    }
}

/// The files that are there, the first that counts first.
fn files() -> Vec<PathBuf> {
    let variable = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = || variable("HOME").map(|home| home.join(".docker"));
    let docker = variable("DOCKER_CONFIG").or_else(home);
    let runtime = || variable("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json"));
    let files = [
        docker.map(|directory| directory.join("config.json")),
        variable("REGISTRY_AUTH_FILE").or_else(runtime),
    ];
    files.into_iter().flatten().collect()
}

/// The credentials of one file, which need not be there.
fn in_file(path: &Path, host: &RegistryHost, helper_time: Duration) -> Result<Credentials, CredentialError> {
    let shown = || text::path(path).to_string();
    let fail = |reason: String| CredentialError::File {
        path: shown(),
        reason,
    };
    let file = match open_plain(path) {
        Ok(file) => file,
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Credentials::None);
        }
        Err(error) => return Err(fail(error.to_string())),
    };
    let helper = |reason| CredentialError::Helper {
        path: shown(),
        host: host.to_string(),
        reason,
    };
    let (sender, answer) = mpsc::channel();
    let name = host.to_string();
    // A helper that hangs holds its thread until the process ends, which it does with the error.
    let asking = thread::spawn(move || {
        let bounded = std::io::Read::take(file, LONGEST_FILE);
        let found = docker_credential::get_credential_from_reader(bounded, &name);
        let _ = sender.send(found);
    });
    let answer = answer.recv_timeout(helper_time);
    if answer.is_ok() {
        // The kernel's sandbox closes over one thread.
        let _ = asking.join();
    }
    match answer {
        Ok(Ok(DockerCredential::UsernamePassword(user, password))) => Ok(Credentials::basic(user, &password)),
        Ok(Ok(DockerCredential::IdentityToken(token))) => Ok(Credentials::Identity(Secret::new(token))),
        Ok(Err(CredentialRetrievalError::NoCredentialConfigured)) => Ok(Credentials::None),
        // Helpers have one way to say that they know nothing.
        Ok(Err(CredentialRetrievalError::HelperFailure { stdout, stderr, .. }))
            if [&stdout, &stderr]
                .iter()
                .any(|said| said.contains("credentials not found")) =>
        {
            Ok(Credentials::None)
        }
        Ok(Err(CredentialRetrievalError::HelperFailure { .. })) => Err(helper("it ended with an error")),
        Ok(Err(CredentialRetrievalError::MalformedHelperResponse)) => {
            Err(helper("it answered something else than credentials"))
        }
        Ok(Err(CredentialRetrievalError::HelperCommunicationError)) => Err(helper("it cannot be started")),
        Ok(Err(CredentialRetrievalError::CredentialMismatchError)) => Err(fail(format!(
            "for {host}, `auth` says something else than `username` and `password`"
        ))),
        Ok(Err(CredentialRetrievalError::CredentialDecodingError)) => Err(fail(format!(
            "for {host}, `auth` is not base64 of a user, a colon and a password"
        ))),
        Ok(Err(_)) => Err(fail("it is not the JSON that Docker writes".to_owned())),
        Err(_) => Err(helper("it does not answer")),
    }
}

/// Opens a plain file. To open a pipe waits for its other end, and a device may do something: neither is opened, nor waited
/// for where it has come by now.
fn open_plain(path: &Path) -> io::Result<File> {
    let refused = || io::Error::new(io::ErrorKind::InvalidInput, "it is not a file");
    if !std::fs::metadata(path)?.is_file() {
        return Err(refused());
    }
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = File::options();
    let file = options
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(refused())
    }
}

/// Bytes of the longest file.
const LONGEST_FILE: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_read_as_docker_and_podman_write_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let rows = [
            (r#"{"auths": {"a.example": {"auth": "dTpwOnc="}}}"#, "u p:w"),
            (
                r#"{"auths": {"https://a.example/v1/": {"auth": "dTpwOnc="}}}"#,
                "u p:w",
            ),
            (r#"{"auths": {"a.example:5000": {"auth": "dTpwOnc="}}}"#, "none"),
            (r#"{"auths": {"a.example": {"identitytoken": "t"}}}"#, "token t"),
            (
                r#"{"auths": {"a.example": {"username": "u", "password": "p"}}}"#,
                "u p",
            ),
            (r#"{"auths": {"a.example": {"auth": "dQ=="}}}"#, "file"),
            (
                r#"{"auths": {"a.example": {"auth": "dTpw", "username": "u", "password": "x"}}}"#,
                "file",
            ),
            (
                r#"{"credHelpers": {"a.example": "outport-test-absent"}}"#,
                "helper",
            ),
            (r#"{"credHelpers": {"b.example": "outport-test-absent"}}"#, "none"),
            ("{}", "none"),
            ("", "file"),
            ("[1", "file"),
        ];
        let host = "a.example".parse().unwrap();
        for (content, expected) in rows {
            fs::write(&path, content).unwrap();
            let is = match in_file(&path, &host, HELPER_TIME) {
                Ok(Credentials::None) => "none".to_owned(),
                Ok(Credentials::Basic { user, password }) => format!("{user} {}", password.expose()),
                Ok(Credentials::Identity(token)) => format!("token {}", token.expose()),
                Err(CredentialError::File { .. }) => "file".to_owned(),
                Err(CredentialError::Helper { .. }) => "helper".to_owned(),
            };
            assert_eq!(is, expected, "{content}");
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(
            in_file(&path, &host, HELPER_TIME),
            Ok(Credentials::None)
        ));
    }

    // proves: ISO-7
    #[test]
    fn what_is_no_file_is_refused_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("config.json");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
        let host = "a.example".parse().unwrap();
        for path in [&pipe, folder.path(), Path::new("/dev/zero")] {
            let found = in_file(path, &host, HELPER_TIME);
            let Err(CredentialError::File { reason, .. }) = found else {
                panic!("{}", path.display());
            };
            assert_eq!(reason, "it is not a file");
        }
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let shown = format!("{:?}", Credentials::basic("u", "hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
