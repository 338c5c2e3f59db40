//! A real Redis server.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{Process, free_port};
use crate::tls::Identity;
use crate::until::{PATIENCE, until};

/// A Redis server on a free port of 127.0.0.1 and ::1 that keeps nothing. Stopped when dropped.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    tls_port: Option<u16>,
    command: Command,
    process: Option<Process>,
    _folder: TempDir,
}

impl Redis {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    ///
    /// If `redis-server` is not installed, or does not answer within ten seconds.
    pub fn start() -> Self {
        Self::start_as(None)
    }

    /// The same, which also speaks TLS on another port, with this certificate.
    ///
    /// # Panics
    ///
    /// As [`start`](Redis::start) does.
    pub fn start_with_tls(identity: &Identity) -> Self {
        Self::start_as(Some(identity))
    }

    fn start_as(identity: Option<&Identity>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let tls_port = identity.map(|_| free_port());
        let mut command = Command::new("redis-server");
        if let (Some(identity), Some(tls_port)) = (identity, tls_port) {
            let kept = |name: &str, content: &str| {
                let path = folder.path().join(name);
                fs::write(&path, content).expect("a file in a folder of our own");
                path
            };
            command
                .args(["--tls-port", &tls_port.to_string(), "--tls-auth-clients", "no"])
                .arg("--tls-cert-file")
                .arg(kept("server.pem", &identity.certificate))
                .arg("--tls-key-file")
                .arg(kept("server.key", &identity.key))
                .arg("--tls-ca-cert-file")
                .arg(folder.path().join("server.pem"));
        }
        command
            .args(["--bind", "127.0.0.1", "-::1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let mut redis = Self {
            port,
            tls_port,
            command,
            process: None,
            _folder: folder,
        };
        redis.start_again();
        redis
    }

    /// Ends it at once.
    ///
    /// # Panics
    ///
    /// If it does not end within a minute.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::KILL);
            process.wait(PATIENCE).expect("it ends");
        }
    }

    /// Starts it again where it was, empty, and waits until it answers.
    ///
    /// # Panics
    ///
    /// As [`start`](Redis::start) does.
    pub fn start_again(&mut self) {
        self.kill();
        let process = Process::start(&mut self.command, Signal::TERM);
        self.process = Some(process.unwrap_or_else(|error| {
            panic!("cannot start `redis-server` ({error}): install the package `redis-server`")
        }));
        self.wait_until_ready();
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port on which it speaks TLS, if it does.
    pub fn tls_port(&self) -> Option<u16> {
        self.tls_port
    }

    /// Sends one inline command and gives what the server said within a second, as text.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub fn ask(&self, command: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    fn wait_until_ready(&self) {
        until(format_args!("redis-server answers on port {}", self.port), || {
            self.ask("PING").as_deref().unwrap_or_default() == "+PONG\r\n"
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_keeps_a_value() {
        let redis = Redis::start();
        assert_eq!(redis.ask("SET colour green").unwrap(), "+OK\r\n");
        assert_eq!(redis.ask("GET colour").unwrap(), "$5\r\ngreen\r\n");
    }
}
