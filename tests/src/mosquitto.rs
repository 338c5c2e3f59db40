//! A real MQTT server.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::process::{Process, free_port, system_program, wait_until_listening};

/// A Mosquitto server on a free port of this machine, for everybody, that keeps nothing. Stopped when dropped.
#[derive(Debug)]
pub struct Mosquitto {
    port: u16,
    _process: Process,
}

impl Mosquitto {
    /// Starts a server and waits until it listens.
    ///
    /// # Panics
    ///
    /// If `mosquitto` is not installed, or does not listen within 20 seconds.
    pub fn start() -> Self {
        let port = free_port();
        let mut command = Command::new(system_program("mosquitto"));
        command
            .args(["-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::start(&mut command, Signal::TERM).unwrap_or_else(|error| {
            panic!("cannot start `mosquitto` ({error}): install the package `mosquitto`")
        });
        wait_until_listening("mosquitto", port);
        Self {
            port,
            _process: process,
        }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }
}
