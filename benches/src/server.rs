//! Contestants that serve HTTP, each on a port of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::contestants::{DENO, NATIVE, OUTPORT, OUTPORT_P3, Programs, WASMTIME, WASMTIME_P3};

/// A running server, which ends when this is dropped.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Server {
    /// hyper without a guest.
    pub(crate) fn native(programs: &Programs) -> Self {
        let address = free_address();
        let mut command = Command::new(&programs.native);
        command.arg("serve").arg(address.to_string());
        Self::start(NATIVE, address, command)
    }

    /// `outport serve` of a guest, with further options.
    pub(crate) fn outport(name: &'static str, programs: &Programs, guest: &str, options: &[&str]) -> Self {
        Self::outport_with(name, programs, guest, options, &[])
    }

    /// The same with variables of the environment.
    pub(crate) fn outport_with(
        name: &'static str,
        programs: &Programs,
        guest: &str,
        options: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let address = free_address();
        let mut command = Command::new(&programs.outport);
        command
            .args(["serve", "-q", &format!("--listen={address}")])
            .args(options)
            .envs(variables.iter().copied());
        command.arg(outport_e2e::guest::path(guest));
        Self::start(name, address, command)
    }

    /// `wasmtime serve` of a guest, with its defaults.
    pub(crate) fn wasmtime(name: &'static str, program: &Path, guest: &str) -> Self {
        let address = free_address();
        Self::start(name, address, wasmtime(program, guest, address))
    }

    /// The same with one thread instead of one for each processor.
    pub(crate) fn wasmtime_on_one_thread(name: &'static str, program: &Path, guest: &str) -> Self {
        let address = free_address();
        let mut command = wasmtime(program, guest, address);
        command.env("TOKIO_WORKER_THREADS", "1");
        Self::start(name, address, command)
    }

    /// Everybody who can serve the guest, on both tracks of WASI, and hyper alone.
    pub(crate) fn everybody(programs: &Programs, p2: &str, p3: &str, options: &[&str]) -> Vec<Self> {
        let mut servers = vec![
            Self::native(programs),
            Self::outport(OUTPORT, programs, p2, options),
            Self::outport(OUTPORT_P3, programs, p3, options),
        ];
        if let Some(wasmtime) = &programs.wasmtime {
            servers.push(Self::wasmtime(WASMTIME, wasmtime, p2));
            servers.push(Self::wasmtime(WASMTIME_P3, wasmtime, p3));
        }
        servers.extend(programs.deno.as_ref().map(|program| Self::deno(program)));
        servers
    }

    /// `deno serve` with a thread for each processor.
    fn deno(program: &Path) -> Self {
        let address = free_address();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deno/serve.js");
        let mut command = Command::new(program);
        command
            .args(["serve", "--no-config", "--parallel", "--allow-net=127.0.0.1"])
            .args(["--host=127.0.0.1", &format!("--port={}", address.port())])
            .arg(script)
            .env("DENO_NO_UPDATE_CHECK", "1");
        Self::start(DENO, address, command)
    }

    /// Where this answers with what it fetched from `url`.
    pub(crate) fn fetching(&self, url: &str) -> String {
        match self.name {
            DENO => format!("http://{}/?{url}", self.address),
            _ => format!("http://{}/script?http.text%20GET%20{url}", self.address),
        }
    }

    pub(crate) fn start(name: &'static str, address: SocketAddr, mut command: Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let server = Self { name, address, child };
        let deadline = Instant::now() + Duration::from_secs(120);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "{name} does not serve: {command:?}");
            thread::sleep(Duration::from_millis(5));
        }
        server
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Bytes of resident memory.
    pub(crate) fn memory(&self) -> f64 {
        resident(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill_process(id, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn wasmtime(program: &Path, guest: &str, address: SocketAddr) -> Command {
    let mut command = Command::new(program);
    command
        .args(["serve", &format!("--addr={address}")])
        .args(["-S", "cli,inherit-network,p3", "-W", "component-model-async"])
        .arg(outport_e2e::guest::path(guest));
    command
}

/// Bytes of resident memory of a process, its mapped files included, as `top` shows them.
pub(crate) fn resident(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse().ok());
    kibibytes.map_or(f64::NAN, |kibibytes: f64| kibibytes * 1024.0)
}

pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a listener has an address")
}
