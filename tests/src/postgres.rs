//! A real PostgreSQL server.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Signal, geteuid};
use tempfile::TempDir;

use crate::process::{Process, free_port};
use crate::tls::Identity;
use crate::until::until;

/// A PostgreSQL server on a free port of 127.0.0.1 with one user, `postgres`, whose password is `secret`.
/// Stopped when dropped, and its data with it.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    _process: Process,
    _folder: TempDir,
}

impl Postgres {
    /// Makes a new cluster, starts its server and waits until it answers.
    ///
    /// # Panics
    ///
    /// If PostgreSQL is not installed, or does not answer within thirty seconds.
    pub fn start() -> Self {
        Self::start_as(None)
    }

    /// The same, which speaks TLS to who asks for it, with this certificate.
    ///
    /// # Panics
    ///
    /// As [`start`](Postgres::start) does.
    pub fn start_with_tls(identity: &Identity) -> Self {
        Self::start_as(Some(identity))
    }

    fn start_as(identity: Option<&Identity>) -> Self {
        let programs = Programs::find();
        let folder = tempfile::tempdir().expect("a temporary folder");
        programs.give(folder.path());
        let (data, port) = (folder.path().join("data"), free_port());
        programs.make_cluster(folder.path(), &data);
        let mut command = programs.command("postgres");
        command
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k", "", "-D"])
            .arg(&data)
            .args([
                "-c",
                "fsync=off",
                "-c",
                "max_connections=20",
                "-c",
                "shared_buffers=16MB",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(identity) = identity {
            for (setting, file, content) in [
                ("ssl_cert_file", "server.pem", &identity.certificate),
                ("ssl_key_file", "server.key", &identity.key),
            ] {
                let path = folder.path().join(file);
                programs.keep(&path, content);
                command.arg("-c").arg(format!("{setting}={}", path.display()));
            }
            command.args(["-c", "ssl=on"]);
        }
        let process = Process::start(&mut command, Signal::INT).expect("initdb and postgres come together");
        let postgres = Self {
            port,
            _process: process,
            _folder: folder,
        };
        until(format_args!("postgres answers on port {port}"), || {
            programs.ready(port)
        });
        postgres
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Has `psql` execute statements, each by itself.
    ///
    /// # Panics
    ///
    /// If one of them is refused.
    pub fn execute(&self, statements: &[&str]) {
        let mut psql = Programs::find().command("psql");
        psql.env("PGPASSWORD", "secret")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        psql.args(["-U", "postgres", "-v", "ON_ERROR_STOP=1"]);
        for statement in statements {
            psql.args(["-c", statement]);
        }
        let output = psql.output().expect("psql comes with postgres");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{statements:?}: {said}");
    }
}

/// The programs of the newest installed version, and the user to run them as.
struct Programs {
    folder: PathBuf,
    user: Option<u32>,
}

impl Programs {
    fn find() -> Self {
        let versions = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten();
        let folders = versions.map(|version| version.path().join("bin"));
        let newest = folders.filter(|folder| folder.join("initdb").exists()).max();
        let folder = newest.expect("no PostgreSQL in /usr/lib/postgresql: install the package `postgresql`");
        Self {
            folder,
            user: unprivileged_user(),
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.folder.join(program));
        command.stdin(Stdio::null()).current_dir("/");
        if let Some(user) = self.user {
            command.uid(user);
        }
        command
    }

    fn give(&self, folder: &Path) {
        if self.user.is_some() {
            chown(folder, self.user, None).expect("root can give a folder away");
        }
    }

    /// Writes a file that nobody but the server may read.
    fn keep(&self, path: &Path, content: &str) {
        fs::write(path, content).expect("a file in a folder of our own");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a file of our own");
        self.give(path);
    }

    fn make_cluster(&self, folder: &Path, data: &Path) {
        let password = folder.join("password");
        fs::write(&password, "secret\n").expect("a file in a folder of our own");
        self.give(&password);
        let output = self
            .command("initdb")
            .args([
                "--no-sync",
                "--auth=scram-sha-256",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .arg("--pwfile")
            .arg(&password)
            .arg("-D")
            .arg(data)
            .output()
            .expect("initdb was found a moment ago");
        assert!(
            output.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn ready(&self, port: u16) -> bool {
        let mut command = self.command("pg_isready");
        command.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
        command.status().is_ok_and(|status| status.success())
    }
}

/// PostgreSQL refuses to run as root, and its package brings a user of that name.
fn unprivileged_user() -> Option<u32> {
    if !geteuid().is_root() {
        return None;
    }
    let output = Command::new("id")
        .args(["-u", "postgres"])
        .output()
        .expect("every system has `id`");
    let id = String::from_utf8_lossy(&output.stdout).trim().parse();
    Some(id.expect("no user `postgres`: install the package `postgresql`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_answers_a_query() {
        let postgres = Postgres::start();
        let output = Command::new("psql")
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &postgres.port().to_string(),
                "-U",
                "postgres",
                "-tAc",
                "select 6 * 7",
            ])
            .env("PGPASSWORD", "secret")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "42", "{output:?}");
    }
}
