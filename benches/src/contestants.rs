//! Who takes part: Outport, the wasmtime CLI, Deno, and native programs as the limit.
//!
//! Every contestant is a process of its own, started by the same code, and prints results in the same words: the
//! native client and the script for Deno say what the guest `script-guest` says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The column names of the tables.
pub(crate) const OUTPORT: &str = "Outport";
pub(crate) const OUTPORT_P3: &str = "Outport, 0.3";
pub(crate) const WASMTIME: &str = "wasmtime";
pub(crate) const WASMTIME_P3: &str = "wasmtime, 0.3";
pub(crate) const NATIVE: &str = "native";
pub(crate) const DENO: &str = "Deno";

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) outport: PathBuf,
    /// None where it is not installed: its columns are left out.
    pub(crate) wasmtime: Option<PathBuf>,
    /// None where it is not installed.
    pub(crate) deno: Option<PathBuf>,
    /// This program, which is the native client and server too.
    pub(crate) native: PathBuf,
}

/// A way to run the statements of the guest `script-guest`.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
}

impl Programs {
    /// Every way to run statements about sockets.
    pub(crate) fn clients(&self) -> Vec<Client> {
        let deno = self.deno.as_ref().map(|program| Client::on_deno(program));
        let mut clients = vec![self.natively()];
        clients.extend(self.with_guests());
        clients.extend(deno);
        clients
    }

    /// The limit.
    pub(crate) fn natively(&self) -> Client {
        Client {
            name: NATIVE,
            program: self.native.clone(),
            arguments: vec!["client".to_owned()],
        }
    }

    /// Outport and wasmtime, which run the same guests.
    fn with_guests(&self) -> impl Iterator<Item = Client> {
        let guests = [
            ("script-guest", OUTPORT, WASMTIME),
            ("script-guest-p3", OUTPORT_P3, WASMTIME_P3),
        ];
        let guests = guests.into_iter().map(|(guest, on_outport, on_wasmtime)| {
            let wasmtime = self.wasmtime.as_ref();
            let wasmtime = wasmtime.map(|program| Client::on_wasmtime(on_wasmtime, program, guest));
            [Some(self.on_outport(on_outport, guest, &[])), wasmtime]
        });
        guests.flatten().flatten()
    }

    /// Outport with further options.
    pub(crate) fn on_outport(&self, name: &'static str, guest: &str, further: &[&str]) -> Client {
        let options = ["run", "-q", "--allow-udp"].as_slice();
        let allowed = ["--allowed-outbound-hosts", "*://127.0.0.0/8:*,*://db.test:5432"].as_slice();
        Client {
            name,
            program: self.outport.clone(),
            arguments: with_guest(&[options, allowed, further].concat(), guest),
        }
    }
}

impl Client {
    pub(crate) fn on_wasmtime(name: &'static str, program: &Path, guest: &str) -> Self {
        let options = [
            "run",
            "-S",
            "inherit-network,http,p3",
            "-W",
            "component-model-async",
        ];
        Self {
            name,
            program: program.to_owned(),
            arguments: with_guest(&options, guest),
        }
    }

    fn on_deno(program: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deno/statements.js");
        let options = ["run", "--no-config", "--allow-net=127.0.0.1", "--unstable-net"];
        let options = options.map(str::to_owned).into_iter();
        Self {
            name: DENO,
            program: program.to_owned(),
            arguments: options.chain([script.display().to_string()]).collect(),
        }
    }

    /// The process that runs statements.
    pub(crate) fn command(&self, statements: &[String]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(statements);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("DENO_NO_UPDATE_CHECK", "1");
        command
    }

    /// The results of statements, one for each.
    pub(crate) fn run(&self, statements: &[String]) -> Vec<String> {
        let output = self
            .command(statements)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        let text = String::from_utf8_lossy(&output.stdout);
        let results: Vec<String> = text
            .lines()
            .filter_map(|line| line.split_once(" => "))
            .map(|(_, result)| result.to_owned())
            .collect();
        let whole = results.len() == statements.len();
        assert!(
            whole,
            "{} did not finish {statements:?}:\n{text}{}",
            self.name,
            String::from_utf8_lossy(&output.stderr)
        );
        results
    }
}

fn with_guest(options: &[&str], guest: &str) -> Vec<String> {
    let guest = outport_e2e::guest::path(guest).display().to_string();
    options
        .iter()
        .map(|option| (*option).to_owned())
        .chain([guest])
        .collect()
}

/// The number before `us` in a result: `ok, median 41.2us of 100`, `1048576 bytes in 1234us`.
pub(crate) fn microseconds(result: &str) -> f64 {
    let before = result.split("us").next().unwrap_or_default();
    let number = before.rsplit(' ').next().unwrap_or_default();
    number.parse().unwrap_or_else(|_| panic!("no time in `{result}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_from_what_guests_say() {
        for (result, time) in [
            ("ok, median 41.2us of 100", 41.2),
            ("median 9.0us of 3000", 9.0),
            ("1048576 bytes in 1234us", 1234.0),
        ] {
            assert_eq!(microseconds(result), time, "{result}");
        }
    }
}
