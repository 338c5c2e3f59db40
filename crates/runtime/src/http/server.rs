//! The worker threads that serve the components of a router.
//!
//! Each worker has a listening socket, a single-threaded runtime, and whatever it accepted: a connection and the
//! instances that answer it stay on one thread, which is what makes them quick. The router is shared, and what counts
//! the connections: all of them, and those of each [client](super::clients).
//!
//! With all connections taken, a worker accepts one more and lets it wait; the others wait in the kernel. A connection
//! of a client who has as many as it may is closed at once. Both leave the other clients their part.
//!
//! Stopping: the workers accept no more, connections finish the request they are at, and instances get a time of
//! grace to end. What is left then is cut off. Idle connections [linger](ServerLimits::linger), for longer where another
//! process has taken the listeners over and nobody waits for this one to end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{Semaphore, mpsc, watch};

use super::clients::ConnectionSlot;
use super::connection::{Connection, ConnectionInner, Times};
use super::connection_counts::ConnectionCounts;
use super::leaving::Leaving;
use super::listeners::{Listeners, WorkerSharing, WorkerSocket};
use super::occasional::Occasional;
use super::router::Router;
use super::tls::{Handshakes, ServerTls, Turns};
use crate::descriptors;
use crate::triggers::{CLOSE_TIME, Listener, Place, Workers};

/// The bounds on what clients may take up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// Time for a client to send the headers of a request, and before them to agree on TLS. Default 10 s.
    pub header_timeout: Duration,
    /// Time for a client to go on: to send more of a request's body, to read more of a response, or with a connection
    /// of HTTP/2 on which nothing is under way. Default 60 s.
    pub client_timeout: Duration,
    /// Connections at a time, over all workers. Further clients wait. Default 10,000.
    pub connections: usize,
    /// Connections of one client at a time: of an IPv4 address, or of an IPv6 network of 64 bits. Further ones are
    /// closed. Default half of all.
    pub connections_per_client: Option<usize>,
    /// Time that running requests get when the server stops. Default 10 s.
    pub grace: Duration,
    /// Time that a connection without a request stays open when the server stops, for what its client is about to send;
    /// at most half of `grace`. Default 0.5 s.
    pub linger: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            client_timeout: Duration::from_secs(60),
            connections: 10_000,
            connections_per_client: None,
            grace: Duration::from_secs(10),
            linger: Duration::from_millis(500),
        }
    }
}

impl ServerLimits {
    /// The same with no more connections than there are descriptors for, of which the process may have so many. Half of
    /// them is for what guests hold.
    pub fn within(self, descriptors: u64, workers: usize) -> Self {
        let connections = self
            .connections
            .min(descriptors::for_clients(descriptors, workers));
        Self { connections, ..self }
    }

    fn of_one_client(&self) -> usize {
        let bound = self.connections_per_client.unwrap_or(self.connections / 2);
        bound.clamp(1, self.connections.max(1))
    }
}

/// Threads that serve the components of a router, to clients, to events or to both. Dropping it stops them, without
/// waiting for them.
pub struct Server {
    stop: watch::Sender<Phase>,
    common: Arc<Common>,
    linger: Duration,
    threads: Arc<Workers>,
    /// Closed once every worker has ended.
    workers: mpsc::Receiver<()>,
    failed: watch::Receiver<Failed>,
}

/// Whether a part of the server has ended by a fault of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    No,
    Yes,
}

/// Whether a server goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
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
        router: impl Into<Arc<Router>>,
        listeners: Listeners,
        limits: ServerLimits,
    ) -> Result<Self, ServeError> {
        let tls = listeners.tls();
        Self::start_with(router.into(), listeners.by_worker()?, tls, limits)
    }

    /// Starts so many workers that have no clients, for [events](Server::listen) alone.
    ///
    /// # Errors
    ///
    /// When the system gives no thread, or no way to wait.
    pub fn start_without_clients(
        router: impl Into<Arc<Router>>,
        workers: usize,
        limits: ServerLimits,
    ) -> Result<Self, ServeError> {
        let none = (0..workers.max(1)).map(|_| Vec::new());
        Self::start_with(router.into(), none.collect(), None, limits)
    }

    fn start_with(
        router: Arc<Router>,
        sockets: Vec<Vec<WorkerSocket>>,
        tls: Option<ServerTls>,
        limits: ServerLimits,
    ) -> Result<Self, ServeError> {
        let (stop, stopping) = watch::channel(Phase::Serving);
        let (alive, workers) = mpsc::channel(1);
        let (fail, failed) = watch::channel(Failed::No);
        let fail = Arc::new(fail);
        let mut threads = Vec::new();
        router.check_own_memory();
        let common = Arc::new(Common {
            times: Times {
                header: limits.header_timeout,
                client: limits.client_timeout,
                response: router
                    .longest_response()
                    .map(|longest| longest.saturating_add(limits.client_timeout)),
            },
            connections: Arc::new(Semaphore::new(limits.connections.max(1))),
            of_one_client: limits.of_one_client(),
            grace: limits.grace,
            linger: OnceLock::new(),
            not_accepted: Occasional::default(),
            turned_away: Occasional::default(),
            counts: ConnectionCounts::of(router.meter()),
            handshakes: tls.map(|tls| Arc::new(Handshakes::new(tls, limits.header_timeout, router.meter()))),
            listening: Leaving::new(),
            asking: Leaving::new(),
            router,
        });
        for (number, sockets) in sockets.into_iter().enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let worker = Worker {
                common: Arc::clone(&common),
                stopping: stopping.clone(),
                turns: Arc::new(Turns::new()),
            };
            let (alive, fail) = (alive.clone(), Arc::clone(&fail));
            threads.push(runtime.handle().clone());
            thread::Builder::new()
                .name(format!("outport-worker-{number}"))
                .spawn(move || {
                    note_failure(number, &fail, || runtime.block_on(worker.work(sockets)));
                    // What still blocks, such as reading a file, had its time; it ends with the process.
                    runtime.shutdown_background();
                    drop(alive);
                })?;
        }
        Ok(Self {
            stop,
            common,
            linger: limits.linger.min(limits.grace / 2),
            threads: Arc::new(Workers::new(threads)),
            workers,
            failed,
        })
    }

    /// Hands the events of a trigger to its component, until the server stops.
    pub fn listen(&self, listener: Listener) {
        let place = Place {
            router: Arc::clone(&self.common.router),
            workers: Arc::clone(&self.threads),
            stopping: self.stop.subscribe(),
            grace: self.common.grace,
            leave: self.common.listening.notice(),
            asks: self.common.asking.notice(),
        };
        drop(self.threads.spawn(listener.run(place)));
    }

    /// Waits until a worker ends by a fault of the server's own, which is logged; for ever if none does. The others serve on,
    /// but fewer than there should be: whoever runs the server stops it, so that it is started anew.
    pub async fn failed(&self) {
        until_failed(self.failed.clone()).await
    }

    /// Begins to stop. [`Server::ended`] says when it is done.
    pub fn stop(&self) {
        self.stop_lingering(self.linger);
    }

    /// Begins to stop, since another process serves the same listeners by now: idle connections linger for longer. Returns
    /// once no more events are asked for, so that the other one can.
    pub async fn pass_on(&self) {
        self.stop_lingering(LINGER_AFTER_ANOTHER.min(self.common.grace / 2));
        self.common.asking.gone().await;
    }

    fn stop_lingering(&self, linger: Duration) {
        // The first one counts.
        self.common.linger.get_or_init(|| linger);
        self.stop.send_replace(Phase::Stopping);
    }

    /// The time that it takes to stop, at most.
    pub fn time_to_stop(&self) -> Duration {
        self.common
            .grace
            .saturating_add(2 * CLOSE_TIME)
            .saturating_add(LAST_MOMENTS)
    }

    /// Waits until every worker has taken a turn: where one hangs, for ever.
    pub async fn responds(&self) {
        self.threads.take_a_turn().await
    }

    /// Waits until every worker has ended.
    pub async fn ended(&mut self) {
        while self.workers.recv().await.is_some() {}
    }
}

/// Does the work of a worker to its end, and notes where that is a fault: an error, or a panic, which no guest causes.
fn note_failure(number: usize, fail: &watch::Sender<Failed>, work: impl FnOnce() -> io::Result<()>) {
    // Whatever the work was at is not looked at again.
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => tracing::error!("worker {number} ended: {error}"),
        Err(_) => tracing::error!("worker {number} ended by a fault of Outport's own; please report it"),
    }
    fail.send_replace(Failed::Yes);
}

async fn until_failed(mut failed: watch::Receiver<Failed>) {
    if failed.wait_for(|failed| *failed == Failed::Yes).await.is_err() {
        // All workers have ended as they should.
        std::future::pending().await
    }
}

/// The part that all workers share.
struct Common {
    router: Arc<Router>,
    times: Times,
    connections: Arc<Semaphore>,
    of_one_client: usize,
    grace: Duration,
    /// The time for which idle connections stay, once the server stops.
    linger: OnceLock<Duration>,
    not_accepted: Occasional,
    turned_away: Occasional,
    counts: ConnectionCounts,
    /// Where TLS is spoken.
    handshakes: Option<Arc<Handshakes>>,
    /// What listens for events.
    listening: Leaving,
    /// What asks for more events.
    asking: Leaving,
}

struct Worker {
    common: Arc<Common>,
    stopping: watch::Receiver<Phase>,
    /// Of its handshakes.
    turns: Arc<Turns>,
}

impl Worker {
    async fn work(self, sockets: Vec<WorkerSocket>) -> io::Result<()> {
        let sockets: Vec<_> = sockets
            .into_iter()
            .map(|own| Ok((tokio::net::TcpListener::from_std(own.socket)?, own.sharing)))
            .collect::<io::Result<_>>()?;
        let connections = Leaving::new();
        let accept = async {
            let sockets = sockets.into_iter();
            join_all(sockets.map(|(socket, sharing)| self.accept(socket, sharing, &connections))).await;
            std::future::pending::<Infallible>().await
        };
        let leave = async {
            stopped(&mut self.stopping.clone()).await;
            let linger = self.common.linger.get().copied().unwrap_or_default();
            let leave = async {
                connections.all(linger).await;
                self.common.listening.all(linger).await;
                self.common.router.quiet().await;
            };
            let _ = tokio::time::timeout(self.common.grace, leave).await;
        };
        tokio::select! {
            () = leave => {}
            never = accept => match never {},
        }
        // Servers of events hear that nobody listens any more, also where a handler was cut off.
        let _ = tokio::time::timeout(2 * CLOSE_TIME, self.common.listening.gone()).await;
        self.common.sum_up();
        Ok(())
    }

    /// Accepts connections until the server stops. One that waits for its place then still gets it.
    async fn accept(&self, socket: tokio::net::TcpListener, sharing: WorkerSharing, connections: &Leaving) {
        let mut stopping = self.stopping.clone();
        let mut stop = pin!(stopped(&mut stopping));
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => return,
                accepted = socket.accept() => accepted,
            };
            let (client, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.common.pause_after(&error).await;
                    continue;
                }
            };
            let Some(slot) = self.common.connect(address) else {
                continue;
            };
            let leave = connections.notice();
            let counted = self.common.counts.accept();
            // Its client is counted by now: one that has enough is turned away, and does not wait here before others.
            let mut place = pin!(Arc::clone(&self.common.connections).acquire_owned());
            let connection = Connection {
                shared: Arc::new(ConnectionInner {
                    router: Arc::clone(&self.common.router),
                    client: Arc::clone(slot.client()),
                    address,
                    times: self.common.times,
                }),
                _slot: slot,
                leave,
                handshakes: self
                    .common
                    .handshakes
                    .as_ref()
                    .map(|handshakes| (Arc::clone(handshakes), Arc::clone(&self.turns))),
            };
            let serve = |place| {
                tokio::spawn(async move {
                    connection.serve(client).await;
                    drop((place, counted));
                });
            };
            tokio::select! {
                biased;
                place = &mut place => serve(place),
                () = &mut stop => {
                    drop(socket);
                    return serve(place.await);
                }
            }
            if sharing == WorkerSharing::Shared {
                // Else whoever wakes up first takes all that come together, and the others have nothing to do.
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Waits until the server stops.
async fn stopped(stopping: &mut watch::Receiver<Phase>) {
    // The sender is only gone when nobody waits for a graceful end.
    let _ = stopping.wait_for(|phase| *phase == Phase::Stopping).await;
}

/// What comes after: writing out logs.
const LAST_MOMENTS: Duration = Duration::from_secs(4);

/// The time that idle connections stay where another process serves: nobody waits for this one to end.
const LINGER_AFTER_ANOTHER: Duration = Duration::from_secs(5);

impl Common {
    /// Counts a connection of a client, unless it has enough.
    fn connect(&self, address: SocketAddr) -> Option<ConnectionSlot> {
        let client = self.router.clients().at(address.ip());
        let slot = client.connect(self.of_one_client);
        if slot.is_none() {
            self.counts.turned_away.increment(1);
            self.turned_away.log(|| {
                format!(
                    "a connection of {} was closed: it has {} already, as many as one client may have",
                    client.address(),
                    self.of_one_client
                )
            });
        }
        slot
    }

    /// A client who left before being accepted is nothing. Running out of descriptors passes, but not at once.
    async fn pause_after(&self, error: &io::Error) {
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
        ) {
            return;
        }
        self.counts.failed.increment(1);
        self.not_accepted
            .log(|| format!("cannot accept a connection: {error}"));
        // Accepting would fail again at once, and take the processor from the connections that could end.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    fn sum_up(&self) {
        self.not_accepted.sum_up("cannot accept connections");
        self.turned_away
            .sum_up("connections were closed, of clients that had as many as one may have");
        if let Some(handshakes) = &self.handshakes {
            handshakes.sum_up();
        }
        self.router.sum_up();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    type Work = fn() -> io::Result<()>;

    #[test]
    fn a_worker_that_fails_or_panics_is_noted_and_one_that_ends_is_not() {
        let rows: [(Work, bool); 3] = [
            (|| Ok(()), false),
            (|| Err(io::Error::other("no sockets")), true),
            (|| panic!("a fault"), true),
        ];
        for (number, (work, fails)) in rows.into_iter().enumerate() {
            let (fail, failed) = watch::channel(Failed::No);
            let worker = thread::spawn(move || note_failure(number, &fail, work));
            worker.join().expect("a panic goes no further");
            assert_eq!(until_failed(failed).now_or_never().is_some(), fails, "{number}");
        }
    }
}
