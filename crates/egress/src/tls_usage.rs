//! What an instance has of TLS on connections of its own: how many, and where they may lead to.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;
#[cfg(feature = "tls")]
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outport_policy::Endpoint;
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
    /// Where its TCP connections lead, and how many lead to each.
    remotes: Arc<Mutex<BTreeMap<Endpoint, u32>>>,
}

/// A TCP connection to somewhere, for as long as anything of its socket is there.
pub(crate) struct OpenRemote {
    remotes: Arc<Mutex<BTreeMap<Endpoint, u32>>>,
    remote: Endpoint,
}

/// One TLS connection in the counts. Dropping it gives the place back.
#[cfg(feature = "tls")]
pub(crate) struct TlsPlace(Arc<Enforcer>);

impl TlsUsage {
    /// Notes a TCP connection to `remote`.
    pub(crate) fn opened(&self, remote: Endpoint) -> OpenRemote {
        *lock(&self.remotes).entry(remote).or_default() += 1;
        OpenRemote {
            remotes: Arc::clone(&self.remotes),
            remote,
        }
    }
}

impl Drop for OpenRemote {
    fn drop(&mut self) {
        let mut remotes = lock(&self.remotes);
        match remotes.get_mut(&self.remote) {
            Some(several) if *several > 1 => *several -= 1,
            _ => drop(remotes.remove(&self.remote)),
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
        let (remotes, connections) = {
            let open = lock(&own.remotes);
            let remotes: Vec<Endpoint> = open.keys().copied().collect();
            (remotes, open.values().sum())
        };
        let usage = Usage {
            tls_of_instance: before,
            tcp_connections_of_instance: connections,
            ..enforcer.usage()
        };
        let attempt = Attempt::Tls {
            server,
            remotes: &remotes,
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
    let remotes: Vec<Endpoint> = lock(&enforcer.tls_usage().remotes).keys().copied().collect();
    then(&Attempt::Tls {
        server,
        remotes: &remotes,
    })
}

/// What is there is whole, whoever panicked while he had it.
fn lock(remotes: &Mutex<BTreeMap<Endpoint, u32>>) -> MutexGuard<'_, BTreeMap<Endpoint, u32>> {
    remotes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What it is called in the audit log.
pub(crate) const TLS_ATTEMPT: &str = "tls.connect";

/// What of it is not understood, for the log: the name itself stays out of it.
pub(crate) const TLS_SERVER_NAME: &str = "the server name";
