//! The dashboard: a live page on who talks to what, for the person who runs the process.
//!
//! ```text
//! gate ── AuditSink ──▶ Activity ────────────┐ bounded: edges, refusals, what is open
//! Registry ── collect ──┐                    ├──▶ differences ──▶ /events, by server-sent events ──▶ the page
//! egress ── grants ─────┴──▶ Overview, 1/s ──┘    4 times a second at most
//! ```
//!
//! It is for reading: of methods there are GET and HEAD, and nothing that is sent changes anything. It is for this machine:
//! only loopback addresses are [listened](DashboardListener::bind) at. And it is for whoever knows the [secret](Secret), which
//! is a part of the URL: what lacks it learns nothing, not even that there is a dashboard ([`pages`]).
//!
//! It has a thread and bounds of its own. What the gate tells is summed up where it is told, in constant memory and without
//! waiting for any reader; a reader who falls behind gets fewer and larger differences, and one who does not read is let go
//! ([`stream`]). Nothing is summed up where there is no dashboard.

mod activity;
mod edges;
mod overview;
mod pages;
mod refusals;
mod secret;
mod stream;
mod text;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use outport_egress::{AuditSink, WeakEgress};
use tokio::sync::oneshot;

use self::activity::Activity;
pub use self::overview::Bounds;
use self::overview::Overview;
use self::pages::Pages;
use self::secret::Secret;
use crate::connections;
use crate::registry::Registry;

/// Pages that may be open at a time, each of which has a stream of events.
pub const STREAMS: usize = 8;

/// Connections at a time, beside those of streams.
pub const CONNECTIONS: usize = 8;

/// The socket that a browser connects to, while nobody answers yet.
#[derive(Debug)]
pub struct DashboardListener {
    socket: TcpListener,
    address: SocketAddr,
    secret: Secret,
}

/// There can be no dashboard at an address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DashboardError {
    /// Other machines could reach it.
    #[error("{0} can be reached from other machines, and the dashboard is for this one")]
    NotLoopback(SocketAddr),
    /// Nobody can be listened to there.
    #[error("cannot listen on {address} for the dashboard: {source}")]
    Unusable {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("there is no secret for the dashboard: the system gives no random numbers")]
    NoSecret,
}

/// What the dashboard shows. Cheap to clone.
#[derive(Clone)]
pub struct Dashboard {
    activity: Arc<Activity>,
    overview: Arc<Overview>,
}

/// A thread that answers. It ends when this is dropped, and with it every stream.
#[derive(Debug)]
pub struct DashboardServer {
    url: String,
    _stop: oneshot::Sender<()>,
}

impl DashboardListener {
    /// Listens on `address`, which has to be a loopback one. Port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// The address is not a loopback one, or it is taken; or the system gives no random numbers.
    pub fn bind(address: SocketAddr) -> Result<Self, DashboardError> {
        if !address.ip().to_canonical().is_loopback() {
            return Err(DashboardError::NotLoopback(address));
        }
        let secret = Secret::draw().ok_or(DashboardError::NoSecret)?;
        let open = || {
            let socket = TcpListener::bind(address)?;
            socket.set_nonblocking(true)?;
            Ok((socket.local_addr()?, socket))
        };
        let (address, socket) = open().map_err(|source| DashboardError::Unusable { address, source })?;
        Ok(Self {
            socket,
            address,
            secret,
        })
    }

    /// Starts to answer, with what `dashboard` shows.
    ///
    /// # Errors
    ///
    /// The system gives no thread, or no way to wait for sockets.
    pub fn start(self, dashboard: &Dashboard) -> io::Result<DashboardServer> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let url = format!("http://{}/{}/", self.address, self.secret.as_str());
        let pages = Pages::new(self.address, self.secret, dashboard.clone());
        let socket = self.socket;
        thread::Builder::new()
            .name("outport-dashboard".to_owned())
            .spawn(move || {
                let served = runtime.block_on(async {
                    let socket = tokio::net::TcpListener::from_std(socket)?;
                    tokio::select! {
                        _ = stopped => Ok(()),
                        never = connections::serve(socket, pages) => match never {},
                    }
                });
                if let Err(error) = served {
                    let error: io::Error = error;
                    tracing::error!("the dashboard ended: {error}");
                }
            })?;
        Ok(DashboardServer { url, _stop: stop })
    }
}

impl DashboardServer {
    /// The URL of the page, secret and all: for the person at the terminal, and for no log.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Dashboard {
    /// A dashboard of what `registry` counts, of the app with this name if it has one, within these bounds.
    pub fn new(registry: Arc<Registry>, app: Option<&str>, bounds: Bounds) -> Self {
        Self {
            activity: Arc::default(),
            overview: Arc::new(Overview::new(registry, app, bounds)),
        }
    }

    /// What the gate is to tell.
    pub fn sink(&self) -> Arc<dyn AuditSink> {
        self.activity.clone()
    }

    /// Shows the grants that are alive in `egress`, and what is open there. Only what is said first counts.
    pub fn watch(&self, egress: WeakEgress) {
        self.overview.watch(egress);
    }

    /// Shows these components, whether or not they do anything.
    pub fn show_components<'c>(&self, components: impl IntoIterator<Item = &'c str>) {
        self.activity.show_components(components);
    }

    /// Says how many connections clients may have.
    pub fn bound_clients(&self, connections: usize) {
        self.overview.bound_clients(connections);
    }
}

#[cfg(test)]
mod tests;
