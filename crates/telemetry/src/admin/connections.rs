//! The connections of the admin listener: from a socket to its end.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{sleep, timeout};

use super::{CONNECTIONS, HEADERS, Subjects, TIME, pages};

/// Accepts connections, and answers a request on each, for ever.
pub(super) async fn serve(socket: TcpListener, subjects: Arc<Subjects>) -> Infallible {
    let mut tasks = JoinSet::new();
    let mut open: Vec<Open> = Vec::new();
    loop {
        let accepted = tokio::select! {
            biased;
            Some(ended) = tasks.join_next_with_id() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(error) => error.id(),
                };
                open.retain(|one| one.id != id);
                continue;
            }
            // With all of them answered, the next waits in the kernel: each has its time.
            accepted = socket.accept(), if has_place(&open) => accepted,
        };
        match accepted {
            Ok((client, _)) => {
                make_place(&mut open);
                let asked = Arc::new(AtomicBool::new(false));
                let task = tasks.spawn(timed(client, asked.clone(), subjects.clone()));
                open.push(Open {
                    id: task.id(),
                    task,
                    asked,
                });
            }
            // Such as no descriptor left: others' connections end meanwhile.
            Err(error) => {
                tracing::debug!(%error, "the admin listener accepted nobody");
                sleep(PAUSE).await;
            }
        }
    }
}

/// A connection, in the order in which they came.
struct Open {
    id: Id,
    task: AbortHandle,
    /// Its request has come.
    asked: Arc<AtomicBool>,
}

impl Open {
    fn waits(&self) -> bool {
        !self.asked.load(Ordering::Relaxed)
    }
}

fn has_place(open: &[Open]) -> bool {
    open.len() < CONNECTIONS || open.iter().any(Open::waits)
}

/// Ends the connection that has waited longest without a request, where all are taken.
fn make_place(open: &mut Vec<Open>) {
    if open.len() >= CONNECTIONS
        && let Some(oldest) = open.iter().position(Open::waits)
    {
        open.remove(oldest).task.abort();
    }
}

async fn timed(client: TcpStream, asked: Arc<AtomicBool>, subjects: Arc<Subjects>) {
    let answer = service_fn(move |request| {
        asked.store(true, Ordering::Relaxed);
        ready(Ok::<_, Infallible>(pages::answer(&request, &subjects)))
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
