//! What an instance has of TLS on connections of its own: how many, and the ports that they may lead to.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;
#[cfg(feature = "tls")]
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(feature = "tls")]
use outport_policy::{Attempt, Host, Usage};

#[cfg(feature = "tls")]
use crate::denied::Denied;
#[cfg(feature = "tls")]
use crate::enforcer::{DecisionId, Enforcer};

/// The counts of one instance.
#[derive(Default)]
pub(crate) struct TlsUsage {
    /// TLS connections, those that are being agreed on among them.
    tls: AtomicU32,
    /// The ports of its TCP connections, and how many lead to each.
    ports: Arc<Mutex<BTreeMap<u16, u32>>>,
}

/// A TCP connection to a port, for as long as anything of its socket is there.
pub(crate) struct OpenPort {
    ports: Arc<Mutex<BTreeMap<u16, u32>>>,
    port: u16,
}

/// One TLS connection in the counts. Dropping it gives the place back.
#[cfg(feature = "tls")]
pub(crate) struct TlsPlace(Arc<Enforcer>);

impl TlsUsage {
    /// Notes a TCP connection to `port`.
    pub(crate) fn opened(&self, port: u16) -> OpenPort {
        *lock(&self.ports).entry(port).or_default() += 1;
        OpenPort {
            ports: Arc::clone(&self.ports),
            port,
        }
    }
}

impl Drop for OpenPort {
    fn drop(&mut self) {
        let mut ports = lock(&self.ports);
        match ports.get_mut(&self.port) {
            Some(several) if *several > 1 => *several -= 1,
            _ => drop(ports.remove(&self.port)),
        }
    }
}

#[cfg(feature = "tls")]
impl TlsPlace {
    /// Takes a place, and judges whether the instance may have it for TLS with `server`. It is counted before it is
    /// judged, so that two threads cannot both get the last one.
    pub(crate) fn take(enforcer: &Arc<Enforcer>, server: &Host) -> Result<(Self, DecisionId), Denied> {
        let own = enforcer.tls_usage();
        let before = own.tls.fetch_add(1, Ordering::AcqRel);
        let place = Self(Arc::clone(enforcer));
        let (ports, connections) = {
            let open = lock(&own.ports);
            let ports: Vec<u16> = open.keys().copied().collect();
            (ports, open.values().sum())
        };
        let usage = Usage {
            tls_of_instance: before,
            tcp_connections_of_instance: connections,
            ..enforcer.usage()
        };
        let attempt = Attempt::Tls {
            server,
            ports: &ports,
        };
        let decision = enforcer.authorize(&attempt, usage)?;
        Ok((place, decision))
    }
}

#[cfg(feature = "tls")]
impl Drop for TlsPlace {
    fn drop(&mut self) {
        self.0.tls_usage().tls.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The attempt to speak TLS with `server` on the connections that the instance has now.
#[cfg(feature = "tls")]
pub(crate) fn with_attempt<R>(enforcer: &Enforcer, server: &Host, then: impl FnOnce(&Attempt<'_>) -> R) -> R {
    let ports: Vec<u16> = lock(&enforcer.tls_usage().ports).keys().copied().collect();
    then(&Attempt::Tls {
        server,
        ports: &ports,
    })
}

/// What is there is whole, whoever panicked while he had it.
fn lock(ports: &Mutex<BTreeMap<u16, u32>>) -> MutexGuard<'_, BTreeMap<u16, u32>> {
    ports.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What it is called in the audit log.
pub(crate) const TLS_ATTEMPT: &str = "tls.connect";

/// What of it is not understood, for the log: the name itself stays out of it.
pub(crate) const TLS_SERVER_NAME: &str = "the server name";
