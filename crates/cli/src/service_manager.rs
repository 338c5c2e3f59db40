//! What a service manager such as systemd is told of this process, by the socket that it names in `NOTIFY_SOCKET`
//! (sd_notify(3)): that it is ready, reads its settings again, stops, and works.
//!
//! | when | message |
//! | --- | --- |
//! | clients and events are served, or a command runs | `READY=1`, with `MAINPID` and what is served |
//! | SIGHUP: the settings are read again; it is done | `RELOADING=1` with the time; `READY=1` |
//! | the process was told to stop, or stops by itself | `STOPPING=1`, and `EXTEND_TIMEOUT_USEC` for what runs |
//! | half of `WATCHDOG_USEC` has passed, and every thread that serves has answered | `WATCHDOG=1` |
//!
//! The last one is the point of a watchdog: it is not sent by a timer that goes on while nobody serves, but only after the
//! main thread and each worker have had a turn. Another process that has taken the listeners over is told of by that
//! process: this one says nothing more.
//!
//! The socket is opened before the kernel's sandbox closes, which refuses further ones of its kind. No guest and no
//! compiler has it, and the variables are taken out of the environment.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::fmt::Write;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::{Duration, Instant};

use outport_check::Diagnostic;
use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

use crate::files::Files;
use crate::spin_environment;
use crate::terminal::Terminal;

/// The service manager, if there is one. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ServiceManager {
    socket: Option<Arc<UnixDatagram>>,
    terminal: Terminal,
    /// The time within which it wants a sign of life.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// Opens the socket that the environment names; one that cannot be opened is a warning. Must be called while the process
    /// has one thread, since the environment is changed.
    pub(crate) fn connect(terminal: Terminal) -> Self {
        let name = spin_environment::variable(NOTIFY_SOCKET);
        let watchdog = sd_notify::watchdog_enabled();
        forget_variables(&[NOTIFY_SOCKET, "WATCHDOG_USEC", "WATCHDOG_PID"]);
        let mut manager = Self {
            socket: None,
            terminal: terminal.dated(),
            watchdog: watchdog.filter(|time| !time.is_zero()),
        };
        let Some(name) = name else {
            return manager;
        };
        match open(&name) {
            Ok(socket) => manager.socket = Some(Arc::new(socket)),
            Err(error) => {
                let warning = format!(
                    "the service manager cannot be told that the process is ready: `{NOTIFY_SOCKET}` names `{}`: {error}",
                    name.to_string_lossy().escape_debug()
                );
                let warning = Diagnostic::warning(warning).at(spin_environment::location_of(NOTIFY_SOCKET));
                terminal.show(&warning, &Files::default());
            }
        }
        manager
    }

    /// Clients are served now, events waited for, or a command runs, as `status` says in a line.
    pub(crate) fn ready(&self, status: &str) {
        let status = [
            NotifyState::Ready,
            NotifyState::MainPid(std::process::id()),
            NotifyState::Status(status),
        ];
        self.tell(&status);
    }

    /// The settings are read again; [`ServiceManager::reloaded`] says when it is done.
    pub(crate) fn reloading(&self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.tell(&[NotifyState::Reloading, now]);
        }
    }

    /// What was to be read again was read, whatever came of it.
    pub(crate) fn reloaded(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// The process ends.
    pub(crate) fn stopping(&self) {
        self.tell(&[
            NotifyState::Stopping,
            NotifyState::Status("Stopping: what runs is finished"),
        ]);
    }

    /// The process ends within this time, and not before what runs has.
    pub(crate) fn ends_within(&self, time: Duration) {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.tell(&[NotifyState::ExtendTimeoutUsec(micros)]);
    }

    /// Sends signs of life, each after `responds` was answered by all that the process is for.
    pub(crate) async fn keep_watch(&self, responds: impl AsyncFn()) -> Infallible {
        let (Some(time), true) = (self.watchdog, self.socket.is_some()) else {
            return std::future::pending().await;
        };
        let mut ticks = interval((time / 2).max(SHORTEST));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            responds().await;
            self.tell(&[NotifyState::Watchdog]);
        }
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let mut message = String::new();
        for state in states {
            let _ = writeln!(message, "{state}");
        }
        if let Err(error) = uninterrupted(|| socket.send(message.as_bytes())) {
            let told = message.lines().next().unwrap_or_default();
            let warning = Diagnostic::warning(format!("the service manager was not told `{told}`: {error}"));
            self.terminal.show(&warning, &Files::default());
        }
    }
}

/// Sends anew what a signal has interrupted, for [`LONGEST`] at most: a message that is lost is never made up for, and of
/// `READY=1` a manager makes a start that has failed.
fn uninterrupted(send: impl Fn() -> io::Result<usize>) -> io::Result<usize> {
    let begun = Instant::now();
    loop {
        match send() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && begun.elapsed() < LONGEST => {}
            sent => return sent,
        }
    }
}

/// Takes variables out of the environment: they are for this process alone.
#[expect(unsafe_code, reason = "the environment is changed; see SAFETY")]
pub(crate) fn forget_variables(names: &[&str]) {
    for name in names {
        // SAFETY: the process has one thread, as the kernel's sandbox demands later than this.
        unsafe { std::env::remove_var(name) };
    }
}

/// A socket by which the service manager is told: a path, or a name of the abstract kind that begins with `@`.
fn open(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        Some((b'/', _)) => SocketAddr::from_pathname(name)?,
        _ => {
            let error = "it is neither a path from the root nor a name that begins with `@`";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    // A manager that reads nothing holds nobody up for long.
    socket.set_write_timeout(Some(LONGEST))?;
    Ok(socket)
}

const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// The time for which a message may wait.
const LONGEST: Duration = Duration::from_secs(1);

/// The shortest time between two signs of life.
const SHORTEST: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn manager(watchdog: Option<Duration>) -> (UnixDatagram, ServiceManager) {
        let (theirs, ours) = UnixDatagram::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let manager = ServiceManager {
            socket: Some(Arc::new(ours)),
            terminal: Terminal::new(true, false),
            watchdog,
        };
        (theirs, manager)
    }

    fn told(socket: &UnixDatagram) -> Vec<String> {
        let mut told = Vec::new();
        let mut message = [0; 512];
        while let Ok(length) = socket.recv(&mut message) {
            told.push(String::from_utf8_lossy(&message[..length]).into_owned());
        }
        told
    }

    #[test]
    fn each_step_is_told() {
        let (socket, manager) = manager(None);
        manager.ready("Serving http://127.0.0.1:3000");
        manager.reloading();
        manager.reloaded();
        manager.stopping();
        manager.ends_within(Duration::from_secs(16));
        let told = told(&socket);
        let pid = std::process::id();
        assert_eq!(
            told[0],
            format!("READY=1\nMAINPID={pid}\nSTATUS=Serving http://127.0.0.1:3000\n")
        );
        assert!(told[1].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{told:?}");
        assert_eq!(told[2], "READY=1\n");
        assert!(told[3].starts_with("STOPPING=1\n"), "{told:?}");
        assert_eq!(told[4], "EXTEND_TIMEOUT_USEC=16000000\n");
    }

    #[test]
    fn what_a_signal_interrupts_is_sent_anew_for_a_while() {
        let interrupted = || Err(io::Error::from(io::ErrorKind::Interrupted));
        let tries = std::cell::Cell::new(0);
        let sent = uninterrupted(|| {
            tries.set(tries.get() + 1);
            if tries.get() < 4 { interrupted() } else { Ok(7) }
        });
        assert_eq!((sent.unwrap(), tries.get()), (7, 4));
        let gone = uninterrupted(|| Err(io::ErrorKind::ConnectionRefused.into()));
        assert_eq!(gone.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let begun = Instant::now();
        let never = uninterrupted(|| {
            std::thread::sleep(Duration::from_millis(10));
            interrupted()
        });
        assert_eq!(never.unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert!(begun.elapsed() >= LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sign_of_life_is_sent_only_while_everything_responds() {
        let (socket, manager) = manager(Some(Duration::from_secs(30)));
        let hangs = AtomicBool::new(false);
        let waits = Mutex::new(0);
        let watch = manager.keep_watch(async || {
            if hangs.load(Ordering::Relaxed) {
                *waits.lock().unwrap() += 1;
                std::future::pending::<()>().await;
            }
        });
        let run = async {
            tokio::time::sleep(Duration::from_secs(61)).await;
            assert_eq!(told(&socket).len(), 5, "at 0, 15, 30, 45 and 60 s");
            hangs.store(true, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(61)).await;
            assert_eq!((told(&socket).len(), *waits.lock().unwrap()), (0, 1));
        };
        tokio::select! {
            never = watch => match never {},
            () = run => {}
        }
    }

    #[test]
    fn a_socket_is_named_by_its_path_or_by_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("outport-test-{}", std::process::id());
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let rows: [(OsString, &UnixDatagram); 2] =
            [(path.into(), &by_path), (format!("@{name}").into(), &by_name)];
        for (name, socket) in rows {
            open(&name).unwrap().send(b"READY=1").unwrap();
            let mut message = [0; 16];
            assert_eq!(socket.recv(&mut message).unwrap(), 7, "{name:?}");
        }
        for name in ["notify", "vsock:2:1234", "/nowhere/notify", "@"] {
            assert!(open(OsStr::new(name)).is_err(), "{name}");
        }
    }
}
