//! The connections of a listener for people and tools: from a socket to its end.
//!
//! There are so many of them, which [who answers](Answers) says. Where all are taken the next one waits, and the others behind
//! it in the kernel: one that is about to ask, or is answered, loses its place to nobody, until it has stood still for
//! [`STANDSTILL`], or the time that who answers says. Each is for one request, of [`HEADERS`] bytes at most, and ends after [`TIME`].
//!
//! An answer may [go on](Progress::go_on): its connection gives its place back, loses it to nobody, and ends when nothing
//! of it was taken for [`TIME`]. Whoever answers bounds how many do.

mod progress;

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

pub(crate) use self::progress::Progress;
use self::progress::Watched;

/// Bytes of the headers of a request.
pub(crate) const HEADERS: usize = 8 * 1024;

/// The time of a connection, from its first byte to its last; of an answer that goes on, that in which some of it is taken.
pub(crate) const TIME: Duration = Duration::from_secs(10);

/// The time after which a connection makes place for another, if it has not asked, or not read on.
pub(crate) const STANDSTILL: Duration = Duration::from_millis(500);

/// Who answers at a listener.
pub(crate) trait Answers: Clone + Send + 'static {
    /// What an answer has in it.
    type Body: Body<Data = Bytes, Error = Infallible> + Send + 'static;

    /// The listener, for messages.
    const LISTENER: &'static str;

    /// Connections at a time, without those whose answers go on.
    const CONNECTIONS: usize;

    /// The time after which a connection makes place for another, if it has not asked, or not read on.
    const STANDSTILL: Duration = STANDSTILL;

    /// Answers a request, of whose body nothing is read.
    fn answer(&self, request: &Request<Incoming>, connection: &Arc<Progress>) -> Response<Self::Body>;
}

/// Accepts connections, and answers a request on each, for ever.
pub(crate) async fn serve<A: Answers>(socket: TcpListener, answers: A) -> Infallible {
    let mut tasks = JoinSet::new();
    let mut open: Vec<Open> = Vec::new();
    let mut next: Option<TcpStream> = None;
    loop {
        let mut until = None;
        if let Some(client) = next.take() {
            let place = place(&open, A::CONNECTIONS, A::STANDSTILL);
            if place.at > Instant::now() {
                (next, until) = (Some(client), Some(place.at));
            } else {
                if let Some(number) = place.of {
                    open.remove(number).task.abort();
                }
                let progress = Arc::new(Progress::default());
                let task = tasks.spawn(timed(client, progress.clone(), answers.clone()));
                open.push(Open {
                    id: task.id(),
                    task,
                    progress,
                });
            }
        }
        tokio::select! {
            biased;
            Some(ended) = tasks.join_next_with_id() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(error) => error.id(),
                };
                open.retain(|one| one.id != id);
            }
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
            accepted = socket.accept(), if until.is_none() => match accepted {
                Ok((client, _)) => next = Some(client),
                // Such as no descriptor left: others' connections end meanwhile.
                Err(error) => {
                    tracing::debug!(%error, "{} accepted nobody", A::LISTENER);
                    sleep(PAUSE).await;
                }
            },
        }
    }
}

/// A connection, in the order in which they came.
struct Open {
    id: Id,
    task: AbortHandle,
    progress: Arc<Progress>,
}

/// The place for the next connection.
struct Place {
    /// The connection that it is now: the one that has stood still for longest.
    of: Option<usize>,
    /// From when on it is there, unless that one goes on.
    at: Instant,
}

fn place(open: &[Open], most: usize, standstill: Duration) -> Place {
    let now = Instant::now();
    let asking = || open.iter().filter(|one| !one.progress.goes_on());
    if asking().count() < most {
        return Place { of: None, at: now };
    }
    // One that has not begun to be served has not stood still: its request may have come.
    let since = open
        .iter()
        .enumerate()
        .filter(|(_, one)| !one.progress.goes_on())
        .filter_map(|(number, one)| Some((one.progress.last()?, number)));
    match since.min() {
        Some((last, number)) => Place {
            of: Some(number),
            at: last + standstill,
        },
        None => Place {
            of: None,
            at: now + standstill,
        },
    }
}

async fn timed<A: Answers>(client: TcpStream, progress: Arc<Progress>, answers: A) {
    progress.made();
    let client = Watched::new(client, progress.clone());
    let own = progress.clone();
    let answer = service_fn(move |request| {
        let answer = answers.answer(&request, &own);
        own.made();
        ready(Ok::<_, Infallible>(answer))
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(TIME)
        .max_buf_size(HEADERS)
        .serve_connection(TokioIo::new(client), answer);
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            tracing::debug!(%error, "a connection of {} broke", A::LISTENER);
        },
        () = overdue(&progress) => tracing::debug!("a connection of {} took too long", A::LISTENER),
    }
}

/// Waits until a connection has had its time.
async fn overdue(progress: &Progress) {
    sleep(TIME).await;
    while progress.goes_on()
        && let Some(last) = progress.last()
        && last.elapsed() < TIME
    {
        sleep_until(last + TIME).await;
    }
}

/// The pause after nobody could be accepted.
const PAUSE: Duration = Duration::from_millis(100);
