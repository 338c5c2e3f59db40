//! The Unix socket by which processes meet: made where there is none, or only that of a process that is gone.

use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use outport_policy::text;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};
use rustix::process::geteuid;

use super::message::{Deadline, no_answer};

/// A socket that the next process connects to.
#[derive(Debug)]
pub(super) struct UpgradeSocket(pub(super) OwnedFd);

/// The reason why a process can neither take over nor be there for the next one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpgradeError {
    #[error("`{}` cannot be used: {source}", text::path(.path))]
    Unusable { path: PathBuf, source: io::Error },
    #[error("`{}` is there and is not a socket", text::path(.path))]
    NotASocket { path: PathBuf },
    #[error("the process at `{}` runs as the user {theirs}, and this one as {own}", text::path(.path))]
    OtherUser { path: PathBuf, theirs: u32, own: u32 },
    #[error("the process at `{}` hands nothing over: {reason}", text::path(.path))]
    Refused { path: PathBuf, reason: String },
    #[error("the process at `{}` does not hand its listeners over: {source}", text::path(.path))]
    Broken { path: PathBuf, source: io::Error },
}

impl UpgradeError {
    pub(super) fn unusable(path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            source: source.into(),
        }
    }

    pub(super) fn broken(path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Broken {
            path: path.to_owned(),
            source: source.into(),
        }
    }

    /// Advice on what to do about it.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Unusable { .. } => {
                "name a path in a directory of this user's own, such as `/run/outport/shop.upgrade`"
            }
            Self::NotASocket { .. } => "name another path, or take away what is there",
            Self::OtherUser { .. } => "only processes of one user hand listeners to each other",
            Self::Refused { .. } => "try again when it has ended or is done",
            Self::Broken { .. } => "stop it, and start this one then",
        }
    }
}

impl UpgradeSocket {
    /// Listens at `path`, in place of the socket of a process that is gone.
    pub(super) fn open(path: &Path) -> Result<Self, UpgradeError> {
        remove_stale(path)?;
        let open = || {
            let socket = new()?;
            bind(&socket, &SocketAddrUnix::new(path)?)?;
            // Nobody can connect before it listens.
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
            listen(&socket, WAITING)?;
            Ok(Self(socket))
        };
        open().map_err(|source: io::Error| UpgradeError::unusable(path, source))
    }
}

/// Connects to whoever listens at `path`, if somebody of the same user does. Where it hangs, and those who came before have
/// filled its queue, that ends with `deadline`.
pub(super) fn connect_to(path: &Path, deadline: Deadline) -> Result<Option<(OwnedFd, u32)>, UpgradeError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(UpgradeError::unusable(path, error)),
        Ok(_) => {}
    }
    let unusable = |errno: Errno| UpgradeError::unusable(path, errno);
    let socket = new().map_err(unusable)?;
    let address = SocketAddrUnix::new(path).map_err(unusable)?;
    let connected = loop {
        deadline
            .bound(&socket)
            .map_err(|error| UpgradeError::broken(path, error))?;
        match connect(&socket, &address) {
            Err(Errno::INTR) => {}
            connected => break connected,
        }
    };
    match connected {
        Ok(()) => {}
        // Its queue was full for all of the time.
        Err(Errno::AGAIN) => return Err(UpgradeError::broken(path, no_answer())),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::CONNREFUSED | Errno::PROTOTYPE) if !is_socket(path) => {
            return Err(UpgradeError::NotASocket {
                path: path.to_owned(),
            });
        }
        Err(Errno::CONNREFUSED) => return Ok(None),
        Err(errno) => return Err(unusable(errno)),
    }
    let peer = Peer::of(&socket).map_err(|error| UpgradeError::unusable(path, error))?;
    let (theirs, own) = (peer.user, geteuid().as_raw());
    if theirs != own {
        return Err(UpgradeError::OtherUser {
            path: path.to_owned(),
            theirs,
            own,
        });
    }
    Ok(Some((socket, peer.process)))
}

/// Who is at the other end of a socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// Its number, or 0 where that is in a namespace that this process does not see.
    pub(super) process: u32,
    pub(super) user: u32,
}

impl Peer {
    /// As the kernel says: of one that connected, as it was then; of one that listens, as it was when it began to.
    #[expect(unsafe_code, reason = "rustix has no process of the number 0; see SAFETY")]
    pub(super) fn of(socket: &impl AsFd) -> io::Result<Self> {
        let mut peer = libc::ucred {
            pid: 0,
            uid: 0,
            gid: 0,
        };
        let mut length = libc::socklen_t::try_from(mem::size_of_val(&peer)).map_err(io::Error::other)?;
        // SAFETY: the descriptor is open, and `peer` has room for as many bytes as `length` says. The kernel writes no more,
        // and every number is a valid one.
        let answer = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut peer).cast(),
                &raw mut length,
            )
        };
        if answer != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            process: peer.pid.unsigned_abs(),
            user: peer.uid,
        })
    }
}

/// Takes the socket away that a process has left behind, which the caller has found that nobody listens at.
fn remove_stale(path: &Path) -> Result<(), UpgradeError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(UpgradeError::unusable(path, error)),
        Ok(found) if found.file_type().is_socket() => {
            fs::remove_file(path).map_err(|error| UpgradeError::unusable(path, error))
        }
        Ok(_) => Err(UpgradeError::NotASocket {
            path: path.to_owned(),
        }),
    }
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

fn new() -> Result<OwnedFd, Errno> {
    socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
}

/// Processes that wait for their turn.
const WAITING: i32 = 4;
