//! The messages of an upgrade: a word, and with some of them descriptors. One message is one packet.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Begins a conversation. The number goes up when the messages change.
pub(super) const HELLO: &str = "outport-upgrade 1";

/// Sockets for clients.
pub(super) const HTTP: &str = "http";

/// The admin listener.
pub(super) const ADMIN: &str = "admin";

/// The socket by which the next process comes. The last one that is sent.
pub(super) const UPGRADE: &str = "upgrade";

/// The one that starts serves.
pub(super) const READY: &str = "ready";

/// The one that ran accepts nobody any more; its number follows. The kernel knows the socket's by who opened it, which from
/// the third process on is another.
pub(super) const STOPPED: &str = "stopped ";

/// Nothing is handed over, for the reason that follows.
pub(super) const REFUSED: &str = "refused ";

/// Descriptors in one message.
pub(super) const MOST: usize = 32;

/// Bytes of a word.
const LONGEST: usize = 256;

/// Sends a word, with descriptors.
pub(super) fn send(to: impl AsFd, word: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    let word = [IoSlice::new(word.as_bytes())];
    retry_on_intr(|| sendmsg(&to, &word, &mut control, SendFlags::NOSIGNAL)).map_err(in_time)?;
    Ok(())
}

/// Receives a word, with descriptors.
///
/// # Errors
///
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the other one has left.
pub(super) fn receive(from: impl AsFd) -> io::Result<(String, Vec<OwnedFd>)> {
    let mut word = [0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = retry_on_intr(|| {
        recvmsg(
            &from,
            &mut [IoSliceMut::new(&mut word)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
    })
    .map_err(in_time)?;
    let descriptors = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if received
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Err(io::Error::other("a message of an upgrade does not fit"));
    }
    let word = String::from_utf8_lossy(&word[..received.bytes]).into_owned();
    Ok((word, descriptors))
}

/// Receives a word from somebody who should have no descriptors to give: the kernel closes those that come.
pub(super) fn receive_word(from: impl AsFd) -> io::Result<String> {
    let (word, descriptors) = receive(from)?;
    drop(descriptors);
    Ok(word)
}

/// The time by which several messages have to have come, however they are spread over it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// Bounds how long the next message is waited for, and a connection to whoever listens.
    ///
    /// # Errors
    ///
    /// It is over.
    pub(super) fn bound(self, socket: impl AsFd) -> io::Result<()> {
        let left = self.0.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(no_answer());
        }
        wait_at_most(socket, left)
    }
}

/// The other one may be stopped, or hang.
pub(super) fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it does not answer")
}

/// Says of a time that is over what it means.
fn in_time(errno: Errno) -> io::Error {
    match errno {
        Errno::AGAIN => no_answer(),
        errno => errno.into(),
    }
}

/// Bounds how long a message is waited for, both ways.
pub(super) fn wait_at_most(socket: impl AsFd, time: Duration) -> io::Result<()> {
    set_socket_timeout(&socket, Timeout::Recv, Some(time))?;
    set_socket_timeout(&socket, Timeout::Send, Some(time))?;
    Ok(())
}
