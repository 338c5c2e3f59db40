//! The worker threads that serve a site.
//!
//! Each worker has a listening socket, a single-threaded runtime, and whatever it accepted: a connection and the
//! instances that answer it stay on one thread, which is what makes them quick. Nothing but the site is shared.
//!
//! Stopping: the workers accept no more, connections finish the request they are at, and instances get a time of
//! grace to end. What is left then is cut off.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::{Semaphore, mpsc, watch};

use super::connection::Visit;
use super::listeners::Listeners;
use super::site::Site;

/// What visitors may take up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// Time for a visitor to send the headers of a request. Default 10 s.
    pub patience: Duration,
    /// Connections at a time, over all workers. Further visitors wait. Default 10,000.
    pub connections: usize,
    /// Time that running requests get when the server stops. Default 10 s.
    pub grace: Duration,
}

impl Default for ServerLimits {
    fn default() -> ServerLimits {
        ServerLimits {
            patience: Duration::from_secs(10),
            connections: 10_000,
            grace: Duration::from_secs(10),
        }
    }
}

/// Threads that serve a site. Dropping it stops them, without waiting for them.
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<Phase>,
    /// Closed once every worker has ended.
    workers: mpsc::Receiver<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Stopping,
}

/// The workers cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start a worker thread: {0}")]
#[non_exhaustive]
pub struct ServeError(#[from] io::Error);

impl Server {
    /// Starts a worker for each of the sockets.
    ///
    /// # Errors
    ///
    /// When the system gives no thread, or no way to wait for sockets.
    pub fn start(
        site: impl Into<Arc<Site>>,
        listeners: Listeners,
        limits: ServerLimits,
    ) -> Result<Server, ServeError> {
        let (stop, stopping) = watch::channel(Phase::Serving);
        let (alive, workers) = mpsc::channel(1);
        let site = site.into();
        let sockets = listeners.into_sockets();
        let connections = (limits.connections / sockets.len()).max(1);
        for (number, socket) in sockets.into_iter().enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let worker = Worker {
                site: Arc::clone(&site),
                limits,
                connections: Arc::new(Semaphore::new(connections)),
                stopping: stopping.clone(),
            };
            let alive = alive.clone();
            thread::Builder::new()
                .name(format!("outport-worker-{number}"))
                .spawn(move || {
                    if let Err(error) = runtime.block_on(worker.work(socket)) {
                        tracing::error!("worker {number} ended: {error}");
                    }
                    runtime.shutdown_background();
                    drop(alive);
                })?;
        }
        Ok(Server { stop, workers })
    }

    /// Begins to stop. [`Server::ended`] says when it is done.
    pub fn stop(&self) {
        self.stop.send_replace(Phase::Stopping);
    }

    /// Waits until every worker has ended.
    pub async fn ended(&mut self) {
        while self.workers.recv().await.is_some() {}
    }
}

struct Worker {
    site: Arc<Site>,
    limits: ServerLimits,
    connections: Arc<Semaphore>,
    stopping: watch::Receiver<Phase>,
}

impl Worker {
    async fn work(mut self, socket: TcpListener) -> io::Result<()> {
        let socket = tokio::net::TcpListener::from_std(socket)?;
        let visitors = GracefulShutdown::new();
        let mut stopping = self.stopping.clone();
        tokio::select! {
            // The sender is only gone when nobody waits for a graceful end.
            _ = stopping.wait_for(|phase| *phase == Phase::Stopping) => {}
            never = self.accept(&socket, &visitors) => match never {}
        }
        drop(socket);
        let leave = async {
            visitors.shutdown().await;
            self.site.quiet().await;
        };
        let _ = tokio::time::timeout(self.limits.grace, leave).await;
        self.site.sum_up();
        Ok(())
    }

    async fn accept(
        &mut self,
        socket: &tokio::net::TcpListener,
        visitors: &GracefulShutdown,
    ) -> std::convert::Infallible {
        loop {
            let place = Arc::clone(&self.connections).acquire_owned().await;
            let (connection, client) = match socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            };
            let visit = Visit {
                site: Arc::clone(&self.site),
                client,
                patience: self.limits.patience,
                stop: visitors.watcher(),
            };
            tokio::spawn(async move {
                visit.serve(connection).await;
                drop(place);
            });
        }
    }
}

/// A visitor who left before being accepted is nothing. Running out of descriptors passes, but not at once.
async fn pause_after(error: &io::Error) {
    if matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    ) {
        return;
    }
    tracing::warn!("cannot accept a connection: {error}");
    tokio::time::sleep(Duration::from_millis(100)).await;
}
