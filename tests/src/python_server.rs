//! Servers for mail and files from PyPI, run by the machine's own Python.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{Process, free_port, wait_until_listening};
use crate::python;

/// A server on a free port of 127.0.0.1. Stopped when dropped, and its files with it.
#[derive(Debug)]
pub struct PythonServer {
    port: u16,
    _process: Process,
    folder: TempDir,
}

impl PythonServer {
    /// A mail server that keeps what it is sent under `mails`.
    pub fn smtp() -> Self {
        Self::start("aiosmtpd", |command, port, folder| {
            command
                .args(["-m", "aiosmtpd", "-n", "-l", &format!("127.0.0.1:{port}")])
                .args(["-c", "aiosmtpd.handlers.Mailbox"])
                .arg(folder.join("mails"));
        })
    }

    /// A mail server with some mails of `demouser`, whose password is `demopass`.
    pub fn imap() -> Self {
        Self::start("pymap", |command, port, _| {
            command
                .args(["-c", "from pymap.main import main; main()"])
                .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--no-tls"])
                .args(["--no-service", "admin", "--no-service", "managesieve"])
                .args(["dict", "--demo-data"]);
        })
    }

    /// A file server for `guest`, whose password is `secret`, with the files under `files`.
    pub fn ftp() -> Self {
        Self::start("pyftpdlib", |command, port, folder| {
            let files = folder.join("files");
            fs::create_dir(&files).expect("a folder in a folder of our own");
            command
                .args(["-m", "pyftpdlib", "-i", "127.0.0.1", "-p", &port.to_string()])
                .args(["-w", "-u", "guest", "-P", "secret", "-d"])
                .arg(files);
        })
    }

    /// # Panics
    ///
    /// If Python 3 with `venv` is missing, the packages cannot be had, or the server does not listen within 20 seconds.
    fn start(what: &str, arguments: impl FnOnce(&mut Command, u16, &Path)) -> Self {
        let python = python::interpreter("servers-1", PACKAGES);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let mut command = Command::new(python);
        arguments(&mut command, port, folder.path());
        command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::start(&mut command, Signal::TERM).expect("the interpreter is there");
        wait_until_listening(what, port);
        Self {
            port,
            _process: process,
            folder,
        }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The text of each file in a folder of the server's.
    pub fn files(&self, folder: &str) -> Vec<String> {
        let files = fs::read_dir(self.folder.path().join(folder)).expect("a folder of the server's");
        let texts = files.map(|file| fs::read_to_string(file.expect("an entry of a folder").path()));
        texts.collect::<Result<_, _>>().expect("files of text")
    }
}

const PACKAGES: &[&str] = &["aiosmtpd==1.4.6", "pymap==0.36.7", "pyftpdlib==2.2.0"];
