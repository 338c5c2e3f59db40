//! Keeps what is known of where the proxies are true while guests run.
//!
//! A guest must not reach a proxy at an address that its name has only had for a minute (PX-2), although nobody went
//! through it meanwhile. So names are resolved every [`PAUSE`]; the resolver keeps answers for their TTL. At the start each
//! proxy is connected to once, so that the operator hears of one that is gone before the first guest does. That is a
//! warning: it may come back, and whoever needs it is told then.
//!
//! This runs on a thread of its own, which ends when the [`ProxyWatch`] or the [`Egress`] is dropped, or when there is
//! nothing to watch.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use outport_policy::{Endpoint, Host};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::trouble::Trouble;
use super::tunnel::connect;
use crate::egress::{Egress, WeakEgress};
use crate::sockets::Carried;

/// Watches where the proxies of an [`Egress`] are, for as long as it lives.
pub struct ProxyWatch {
    known: Receiver<()>,
    _stop: oneshot::Sender<()>,
}

impl ProxyWatch {
    /// Starts to watch the proxies of `egress`; nothing where it has none.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn start(egress: &Egress) -> std::io::Result<Option<Self>> {
        if egress.process().proxies.is_none() {
            return Ok(None);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (first_round, known) = mpsc::channel();
        let weak = egress.downgrade();
        std::thread::Builder::new()
            .name("outport-proxy".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        () = watch(weak, first_round) => {}
                    }
                });
            })?;
        Ok(Some(Self { known, _stop: stop }))
    }

    /// Waits until the name of every proxy was looked up once, `at_most` that long. Blocks the thread.
    pub fn first_round(&self, at_most: Duration) {
        match self.known.recv_timeout(at_most) {
            Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}

async fn watch(egress: WeakEgress, first_round: mpsc::Sender<()>) {
    let Some(mut has_names) = look(&egress).await else {
        return;
    };
    let _ = first_round.send(());
    try_each(&egress).await;
    while has_names {
        tokio::time::sleep(PAUSE).await;
        let Some(names) = look(&egress).await else { return };
        has_names = names;
    }
}

/// Looks every name up, and says whether there are any. Nothing once the egress is gone.
async fn look(egress: &WeakEgress) -> Option<bool> {
    let egress = egress.upgrade()?;
    let process = egress.process();
    let in_force = process.proxies.as_ref()?;
    let mut has_names = false;
    for server in in_force.proxies().servers() {
        has_names |= matches!(server.host(), Host::Name(name) if !name.is_localhost());
        // Whoever goes through it is told what is wrong.
        let _ = in_force
            .addresses(server, &*process.resolver, &process.policy)
            .await;
    }
    Some(has_names)
}

/// Connects to each once, and hangs up.
async fn try_each(egress: &WeakEgress) {
    let Some(egress) = egress.upgrade() else { return };
    let process = egress.process();
    let Some(in_force) = &process.proxies else { return };
    for server in in_force.proxies().servers() {
        let trying = async {
            let addresses = in_force.addresses(server, &*process.resolver, &process.policy);
            let endpoints = addresses
                .await?
                .into_iter()
                .map(|address| Endpoint::new(address, server.port()));
            let endpoints: Vec<_> = endpoints.map(Into::into).collect();
            connect(&endpoints, &Carried::default()).await
        };
        let tried = timeout(TRY_TIME, trying).await.unwrap_or(Err(Trouble::Silent));
        if let Err(trouble) = tried {
            in_force.tell(server, &trouble, &*process.words);
        }
    }
}

/// The time between two looks at the names.
const PAUSE: Duration = Duration::from_secs(30);

/// The time that a proxy has at start.
const TRY_TIME: Duration = Duration::from_secs(10);
