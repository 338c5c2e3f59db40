//! The neighbour: a component that answers `hello`, and a client that asks it again and again.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::watch::{Watch, waited_here};

/// How a row of requests went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests {
    /// How long each took, whether it went well or not.
    took: Vec<Duration>,
    /// The same without the time that the server or its client could have gone on, had they had a processor.
    worked: Vec<Duration>,
    /// What went wrong.
    pub(crate) failed: Vec<String>,
}

impl Requests {
    /// So many requests, one after the other.
    pub(crate) fn times(number: usize, server: SocketAddr, watch: Watch) -> Self {
        let mut requests = Self::default();
        for _ in 0..number {
            requests.request(server, watch);
        }
        requests
    }

    /// Requests for so long, with a pause between them; five at least.
    pub(crate) fn lasting(time: Duration, server: SocketAddr, watch: Watch) -> Self {
        let (mut requests, start) = (Self::default(), Instant::now());
        while start.elapsed() < time || requests.took.len() < 5 {
            requests.request(server, watch);
            std::thread::sleep(PAUSE);
        }
        requests
    }

    /// These requests were made too.
    pub(crate) fn add(&mut self, more: Self) {
        self.took.extend(more.took);
        self.worked.extend(more.worked);
        self.failed.extend(more.failed);
    }

    fn request(&mut self, server: SocketAddr, watch: Watch) {
        let (of_server, of_client) = (watch.waited(), waited_here());
        let start = Instant::now();
        if let Err(failure) = request(server) {
            self.failed.push(failure);
        }
        let took = start.elapsed();
        let waited = watch.waited_since(&of_server) + waited_here().saturating_sub(of_client);
        self.took.push(took);
        self.worked.push(took.saturating_sub(waited));
    }

    /// These requests, with none of the time that was waited for a processor.
    pub(crate) fn without_others(&self) -> Self {
        Self {
            took: self.worked.clone(),
            ..self.clone()
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.took.len()
    }

    pub(crate) fn succeeded(&self) -> usize {
        self.took.len() - self.failed.len()
    }

    pub(crate) fn median(&self) -> Duration {
        let mut sorted = self.took.clone();
        sorted.sort();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    pub(crate) fn worst(&self) -> Duration {
        self.took.iter().max().copied().unwrap_or_default()
    }
}

/// One request on a connection of its own.
fn request(server: SocketAddr) -> Result<(), String> {
    let answer = ask(server).map_err(|error| error.to_string())?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(answer.lines().next().unwrap_or("no answer").to_owned())
}

fn ask(server: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&server, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: hello\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// How long the client waits for anything.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Between two requests, so that the client is no attack of its own.
const PAUSE: Duration = Duration::from_millis(4);
