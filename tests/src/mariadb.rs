//! A real MariaDB server.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Signal, geteuid};
use tempfile::TempDir;

use crate::process::{Process, free_port, system_program, wait_until_listening};
use crate::tls::Identity;

/// A MariaDB server on a free port of 127.0.0.1 with the user `guest`, whose are the databases `shop` and `other` and the
/// role `keeper`, and the user `admin`, who may do anything. The password of both is `secret`. Stopped when dropped, and its
/// data with it.
#[derive(Debug)]
pub struct MariaDb {
    port: u16,
    _process: Process,
    _folder: TempDir,
}

impl MariaDb {
    /// Makes the system tables, starts a server on them and waits until it listens.
    ///
    /// # Panics
    ///
    /// If the package `mariadb-server-core` is not installed, or the server does not listen within 20 seconds.
    pub fn start() -> Self {
        Self::start_as(None)
    }

    /// The same, which speaks TLS to who asks for it, with this certificate.
    ///
    /// # Panics
    ///
    /// As [`start`](MariaDb::start) does.
    pub fn start_with_tls(identity: &Identity) -> Self {
        Self::start_as(Some(identity))
    }

    fn start_as(identity: Option<&Identity>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        make_tables(folder.path());
        let users = folder.path().join("users.sql");
        fs::write(&users, USERS).expect("a file of our own");
        let port = free_port();
        let mut command = program(folder.path());
        command
            .args(["--bind-address=127.0.0.1", "--skip-name-resolve"])
            .arg(format!("--port={port}"))
            .arg(format!("--socket={}", folder.path().join("socket").display()))
            .arg(format!("--init-file={}", users.display()))
            .stdin(Stdio::null());
        if let Some(identity) = identity {
            for (option, content) in [("ssl-cert", &identity.certificate), ("ssl-key", &identity.key)] {
                let file = folder.path().join(option);
                fs::write(&file, content).expect("a file of our own");
                command.arg(format!("--{option}={}", file.display()));
            }
        }
        let process = start(&mut command);
        wait_until_listening("mariadbd", port);
        Self {
            port,
            _process: process,
            _folder: folder,
        }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// What `mariadb-install-db` does, which is in a package with much else.
fn make_tables(folder: &Path) {
    fs::create_dir(folder.join("data")).expect("a folder in a folder of our own");
    let mut text = "create database mysql;\nuse mysql;\n".to_owned();
    for file in ["system_tables", "performance_tables", "system_tables_data"] {
        let file = format!("/usr/share/mysql/mysql_{file}.sql");
        let statements =
            fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}; {MISSING}"));
        text.push_str(&statements);
    }
    let statements = folder.join("tables.sql");
    fs::write(&statements, text).expect("a file of our own");
    let statements = File::open(statements).expect("a file of our own");
    let mut bootstrap = program(folder);
    let status = bootstrap
        .arg("--bootstrap")
        .stdin(statements)
        .status()
        .expect(MISSING);
    assert!(status.success(), "no system tables: {bootstrap:?}");
}

fn start(command: &mut Command) -> Process {
    Process::start(command, Signal::TERM).expect(MISSING)
}

/// The server as small as it gets, on the data in `folder`.
fn program(folder: &Path) -> Command {
    let mut command = Command::new(system_program("mariadbd"));
    command
        .arg("--no-defaults")
        .arg(format!("--datadir={}", folder.join("data").display()))
        // When they start, servers delete the temporary tables that they find.
        .arg(format!("--tmpdir={}", folder.display()))
        .args(["--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M"])
        .arg("--innodb-flush-log-at-trx-commit=0")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if geteuid().is_root() {
        command.arg("--user=root");
    }
    command
}

/// What the server runs when it starts: a statement a line.
const USERS: &str = "\
    create database shop character set latin1;\n\
    create database other;\n\
    create user guest@'%' identified by 'secret';\n\
    grant all on shop.* to guest@'%';\n\
    grant all on other.* to guest@'%';\n\
    create role keeper with admin guest@'%';\n\
    create user admin@'%' identified by 'secret';\n\
    grant all on *.* to admin@'%';\n";

const MISSING: &str = "install the package `mariadb-server-core`";
