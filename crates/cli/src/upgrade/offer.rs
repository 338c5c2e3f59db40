//! The listeners, offered to the process that will take over: a thread that answers it.
//!
//! It speaks with one process at a time; others are told that it is busy. A process has [`HELLO_TIME`] to say who it is, and
//! [`PREPARE_TIME`] to become ready. One of another user, or that says something else, gets nothing. Once this process stops
//! for another reason the offer is withdrawn: its copies of the listeners are closed, so that no client waits at a socket
//! that nobody serves.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use outport_check::Diagnostic;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::net::{SocketFlags, accept_with};
use rustix::process::geteuid;
use tokio::sync::oneshot;

use super::message::{self, ADMIN, HELLO, HTTP, READY, REFUSED, STOPPED, UPGRADE};
use super::socket::{Peer, UpgradeSocket};
use crate::files::Files;
use crate::terminal::Terminal;

/// What the next process may have.
pub(crate) struct Offer {
    sockets: Arc<Mutex<Option<Sockets>>>,
    /// None if nothing is offered, or it was taken.
    taken: Option<oneshot::Receiver<TakenOver>>,
}

/// A process that serves in this one's place.
pub(crate) struct TakenOver {
    /// Its number.
    pub(crate) process: u32,
    stopped: Sender<()>,
}

struct Sockets {
    http: Vec<TcpListener>,
    admin: Option<TcpListener>,
}

impl Offer {
    /// Nothing is offered.
    pub(crate) fn none() -> Self {
        Self {
            sockets: Arc::default(),
            taken: None,
        }
    }

    /// Offers these to whoever comes by `socket`.
    pub(super) fn start(
        socket: UpgradeSocket,
        (http, admin): (Vec<TcpListener>, Option<TcpListener>),
        terminal: Terminal,
    ) -> io::Result<Self> {
        let sockets = Arc::new(Mutex::new(Some(Sockets { http, admin })));
        let (take, taken) = oneshot::channel();
        let thread = OfferThread {
            socket: socket.0,
            sockets: Arc::clone(&sockets),
            terminal: terminal.dated(),
        };
        thread::Builder::new()
            .name("outport-upgrade".into())
            .spawn(move || thread.run(take))?;
        Ok(Self {
            sockets,
            taken: Some(taken),
        })
    }

    /// Waits until a process serves in this one's place: for ever, if none does.
    pub(crate) async fn taken_over(&mut self) -> TakenOver {
        if let Some(taken) = &mut self.taken {
            let by = taken.await;
            self.taken = None;
            if let Ok(by) = by {
                return by;
            }
        }
        std::future::pending().await
    }

    /// This process stops: nobody gets anything any more.
    pub(crate) fn withdraw(&self) {
        lock(&self.sockets).take();
    }
}

impl TakenOver {
    /// This process accepts nobody any more, and asks for no more events.
    pub(crate) fn stopped(self) {
        // The thread has waited for long enough.
        let _ = self.stopped.send(());
    }
}

struct OfferThread {
    socket: OwnedFd,
    sockets: Arc<Mutex<Option<Sockets>>>,
    terminal: Terminal,
}

/// What came of a conversation.
enum End {
    /// The other one serves.
    Ready { process: u32 },
    /// Nothing has changed, for this reason.
    Nothing(String),
}

impl OfferThread {
    fn run(self, take: oneshot::Sender<TakenOver>) {
        loop {
            let ended = self.accept().and_then(|peer| Ok((self.converse(&peer)?, peer)));
            match ended {
                Ok((End::Ready { process }, peer)) => return hand_over(take, process, &peer),
                Ok((End::Nothing(why), _)) => self.say(&why),
                Err(error) => self.say(&error.to_string()),
            }
            // Whoever fails again and again takes no processor for it.
            thread::sleep(PAUSE);
        }
    }

    fn say(&self, why: &str) {
        let warning = Diagnostic::warning(format!("nothing was handed over: {why}"));
        self.terminal.show(&warning, &Files::default());
    }

    fn accept(&self) -> io::Result<OwnedFd> {
        Ok(retry_on_intr(|| accept_with(&self.socket, SocketFlags::CLOEXEC))?)
    }

    fn converse(&self, peer: &OwnedFd) -> io::Result<End> {
        let Peer { process, user } = Peer::of(peer)?;
        message::wait_at_most(peer, HELLO_TIME)?;
        if user != geteuid().as_raw() {
            refuse(peer, "it is of another user");
            return Ok(End::Nothing(format!(
                "the process {process} is of the user {user}"
            )));
        }
        if message::receive_word(peer)? != HELLO {
            refuse(peer, "it speaks another version of the protocol");
            let why = format!("the process {process} speaks another version of the protocol");
            return Ok(End::Nothing(why));
        }
        if !self.send_sockets(peer)? {
            refuse(peer, "it stops");
            return Ok(End::Nothing("this process stops".into()));
        }
        if !self.wait_for(peer, process)? {
            let why = format!("the process {process} was not ready after {PREPARE_TIME:?}");
            return Ok(End::Nothing(why));
        }
        match message::receive_word(peer) {
            Ok(word) if word == READY => Ok(End::Ready { process }),
            Ok(_) => Ok(End::Nothing(format!("the process {process} says nonsense"))),
            Err(_) => Ok(End::Nothing(format!(
                "the process {process} ended before it was ready"
            ))),
        }
    }

    /// False if there is nothing to be had any more.
    fn send_sockets(&self, peer: &OwnedFd) -> io::Result<bool> {
        let sockets = lock(&self.sockets);
        let Some(sockets) = &*sockets else {
            return Ok(false);
        };
        for some in sockets.http.chunks(message::MOST) {
            let some: Vec<_> = some.iter().map(AsFd::as_fd).collect();
            message::send(peer, HTTP, &some)?;
        }
        if let Some(admin) = &sockets.admin {
            message::send(peer, ADMIN, &[admin.as_fd()])?;
        }
        message::send(peer, UPGRADE, &[self.socket.as_fd()])?;
        Ok(true)
    }

    /// Waits until the process says something, or has ended, and tells others that it was first. False if it does neither.
    fn wait_for(&self, peer: &OwnedFd, process: u32) -> io::Result<bool> {
        let deadline = Instant::now() + PREPARE_TIME;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let mut ready = [
                PollFd::new(peer, PollFlags::IN),
                PollFd::new(&self.socket, PollFlags::IN),
            ];
            retry_on_intr(|| poll(&mut ready, left.try_into().ok().as_ref()))?;
            if !ready[0].revents().is_empty() {
                return Ok(true);
            }
            if !ready[1].revents().is_empty() {
                let other = self.accept()?;
                refuse(&other, &format!("the process {process} is taking over already"));
                thread::sleep(PAUSE);
            }
        }
    }
}

/// Has this process stop, and tells the other one that it has.
fn hand_over(take: oneshot::Sender<TakenOver>, process: u32, peer: &OwnedFd) {
    let (stopped, has_stopped): (_, Receiver<()>) = channel();
    // The process stops by itself where nobody waits for it any more.
    let _ = take.send(TakenOver { process, stopped });
    let _ = has_stopped.recv_timeout(STOP_TIME);
    let _ = message::send(peer, &format!("{STOPPED}{}", std::process::id()), &[]);
}

/// Who is refused may have left.
fn refuse(peer: &OwnedFd, why: &str) {
    let _ = message::send(peer, &format!("{REFUSED}{why}"), &[]);
}

/// What is offered is whole between any two steps, whatever panicked elsewhere.
fn lock(sockets: &Mutex<Option<Sockets>>) -> MutexGuard<'_, Option<Sockets>> {
    sockets.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time for a process to say who it is.
const HELLO_TIME: Duration = Duration::from_secs(5);

/// The time for a process to become ready: compiling may take long.
const PREPARE_TIME: Duration = Duration::from_secs(30 * 60);

/// The time for this process to stop asking for events. The other one waits a little longer.
const STOP_TIME: Duration = Duration::from_secs(9);

/// The time between two that get nothing.
const PAUSE: Duration = Duration::from_millis(50);
