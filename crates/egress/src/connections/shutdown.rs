//! Shutting down connections whose sockets belong to somebody else in this process.
//!
//! The sockets of outgoing HTTP are hyper's, and there is no way to them. But both ends of a TCP connection together
//! name it, so its descriptor can be found among those of the process. Each is duplicated first and looked
//! at then: whatever its owner does meanwhile, what is shut down is what was looked at.

use std::net::SocketAddr;

/// Ends the connections between these pairs of a local and a remote address, in both directions.
#[cfg(target_os = "linux")]
pub(super) fn shut_down(pairs: &[(SocketAddr, SocketAddr)]) {
    match linux::shut_down(pairs) {
        Ok(ended) if ended >= pairs.len() => {}
        Ok(ended) => tracing::debug!(
            forbidden = pairs.len(),
            ended,
            "some forbidden connections had ended already"
        ),
        Err(error) => tracing::error!(%error, "connections that are forbidden now cannot be closed"),
    }
}

/// Says that it cannot be done here.
#[cfg(not(target_os = "linux"))]
pub(super) fn shut_down(pairs: &[(SocketAddr, SocketAddr)]) {
    tracing::error!(
        forbidden = pairs.len(),
        "connections that are forbidden now cannot be closed on this system"
    );
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::HashSet;
    use std::net::{IpAddr, SocketAddr};
    use std::os::fd::OwnedFd;

    use rustix::fs::{FileType, fstat};
    use rustix::net::{Shutdown, getpeername, getsockname, shutdown};
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    pub(super) fn shut_down(pairs: &[(SocketAddr, SocketAddr)]) -> std::io::Result<usize> {
        let pairs: HashSet<(End, End)> = pairs
            .iter()
            .map(|(local, remote)| (end(*local), end(*remote)))
            .collect();
        let this = pidfd_open(getpid(), PidfdFlags::empty())?;
        let mut ended = 0;
        for entry in std::fs::read_dir("/proc/self/fd")? {
            let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A descriptor may have been closed since it was listed.
            let Ok(descriptor) = pidfd_getfd(&this, number, PidfdGetfdFlags::empty()) else {
                continue;
            };
            if ends(&descriptor).is_some_and(|ends| pairs.contains(&ends))
                && shutdown(&descriptor, Shutdown::Both).is_ok()
            {
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Both ends of a connected socket.
    fn ends(descriptor: &OwnedFd) -> Option<(End, End)> {
        if FileType::from_raw_mode(fstat(descriptor).ok()?.st_mode) != FileType::Socket {
            return None;
        }
        let local = SocketAddr::try_from(getsockname(descriptor).ok()?).ok()?;
        let remote = SocketAddr::try_from(getpeername(descriptor).ok()??).ok()?;
        Some((end(local), end(remote)))
    }

    /// Address and port; a scope or flow label may be written in one place and not in another.
    type End = (IpAddr, u16);

    fn end(address: SocketAddr) -> End {
        (address.ip(), address.port())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    // proves: DL-9
    #[test]
    fn exactly_the_named_connection_ends_on_both_sides() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || {
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (peer, _) = listener.accept().unwrap();
            for end in [&stream, &peer] {
                end.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            }
            (stream, peer)
        };
        let ((mut forbidden, mut its_peer), (mut other, _others_peer)) = (connect(), connect());
        shut_down(&[(forbidden.local_addr().unwrap(), forbidden.peer_addr().unwrap())]);

        let mut buffer = [0];
        assert_eq!(forbidden.read(&mut buffer).unwrap(), 0);
        assert_eq!(its_peer.read(&mut buffer).unwrap(), 0);
        assert_eq!(
            other.read(&mut buffer).unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock
        );
    }
}
