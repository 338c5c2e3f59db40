//! The connections of the admin listener: from a socket to its end.
//!
//! There are [`CONNECTIONS`] of them. Where all are taken the next one waits, and the others behind it in the kernel: one that
//! is about to ask, or is answered, loses its place to nobody, until it has stood still for [`STANDSTILL`].

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::progress::{Progress, Watched};
use super::{CONNECTIONS, HEADERS, STANDSTILL, Subjects, TIME, pages};

/// Accepts connections, and answers a request on each, for ever.
pub(super) async fn serve(socket: TcpListener, subjects: Arc<Subjects>) -> Infallible {
    let mut tasks = JoinSet::new();
    let mut open: Vec<Open> = Vec::new();
    let mut next: Option<TcpStream> = None;
    loop {
        let mut until = None;
        if let Some(client) = next.take() {
            let place = place(&open);
            if place.at > Instant::now() {
                (next, until) = (Some(client), Some(place.at));
            } else {
                if let Some(number) = place.of {
                    open.remove(number).task.abort();
                }
                let progress = Arc::new(Progress::default());
                let task = tasks.spawn(timed(client, progress.clone(), subjects.clone()));
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
                    tracing::debug!(%error, "the admin listener accepted nobody");
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

fn place(open: &[Open]) -> Place {
    let now = Instant::now();
    if open.len() < CONNECTIONS {
        return Place { of: None, at: now };
    }
    // One that has not begun to be served has not stood still: its request may have come.
    let since = open
        .iter()
        .enumerate()
        .filter_map(|(number, one)| Some((one.progress.last()?, number)));
    match since.min() {
        Some((last, number)) => Place {
            of: Some(number),
            at: last + STANDSTILL,
        },
        None => Place {
            of: None,
            at: now + STANDSTILL,
        },
    }
}

async fn timed(client: TcpStream, progress: Arc<Progress>, subjects: Arc<Subjects>) {
    progress.made();
    let client = Watched::new(client, progress.clone());
    let answer = service_fn(move |request| {
        let answer = pages::answer(&request, &subjects);
        progress.made();
        ready(Ok::<_, Infallible>(answer))
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(TIME)
        .max_buf_size(HEADERS)
        .serve_connection(TokioIo::new(client), answer);
    match timeout(TIME, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection of the admin listener broke"),
        Err(_) => tracing::debug!("a connection of the admin listener took too long"),
    }
}

/// The pause after nobody could be accepted.
const PAUSE: Duration = Duration::from_millis(100);
