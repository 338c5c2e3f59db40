//! Statements that count or time other things.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::action::{Action, RECEIVE_TIMEOUT};
use crate::interpreter::{CHUNK, Interpreter, Outcome, text};
use crate::world::{Received, TcpSocket, UdpSocket, World};

impl<W: World> Interpreter<W> {
    /// `ok in 123us`: the result and the time that it took.
    pub(crate) async fn timed(&mut self, action: &Action) -> String {
        let start = self.world.now();
        let result = Box::pin(self.perform(action)).await;
        format!("{result} in {}us", (self.world.now() - start).as_micros())
    }

    /// `ok x30, access-denied x2`: each result and how often, the most frequent first.
    pub(crate) async fn repeat(&mut self, actions: &[Action]) -> String {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for action in actions {
            *counts.entry(Box::pin(self.perform(action)).await).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let counts: Vec<_> = counts
            .iter()
            .map(|(result, count)| format!("{result} x{count}"))
            .collect();
        counts.join(", ")
    }

    /// `ok, median 41.2us of 100`: the last result and the median time.
    pub(crate) async fn median(&mut self, actions: &[Action]) -> String {
        let mut last = String::new();
        let mut times = Times::default();
        for action in actions {
            let start = self.world.now();
            last = Box::pin(self.perform(action)).await;
            times.add(self.world.now() - start);
        }
        format!("{last}, {times}")
    }

    /// Sends 64 bytes and waits for 64, `rounds` times: `median 41.2us of 1000`.
    pub(crate) async fn ping(&mut self, name: &str, rounds: usize) -> Outcome {
        let message = [b'.'; 64];
        let mut times = Times::default();
        for _ in 0..rounds {
            let start = self.world.now();
            let socket = self.tcp(name)?;
            socket.send(&message).await.map_err(text)?;
            let mut received = 0;
            while received < message.len() {
                received += some(socket.receive(message.len(), None).await.map_err(text)?)?;
            }
            times.add(self.world.now() - start);
        }
        Ok(times.to_string())
    }

    /// The same with datagrams, to the connected peer and back.
    pub(crate) async fn ping_by_datagrams(&mut self, name: &str, rounds: usize) -> Outcome {
        let message = [b'.'; 64];
        let mut times = Times::default();
        for _ in 0..rounds {
            let start = self.world.now();
            let socket = self.udp(name)?;
            socket.send(&message, None).await.map_err(text)?;
            if socket.receive(RECEIVE_TIMEOUT).await.map_err(text)?.is_empty() {
                return Err("timeout".to_owned());
            }
            times.add(self.world.now() - start);
        }
        Ok(times.to_string())
    }

    /// Sends zeroes: `1048576 bytes in 1234us`. They are sent when this ends, not necessarily received.
    pub(crate) async fn upload(&mut self, name: &str, bytes: u64) -> Outcome {
        let chunk = [0; CHUNK];
        let start = self.world.now();
        let mut left = bytes;
        while left > 0 {
            let length = left.min(chunk.len() as u64);
            self.tcp(name)?
                .send(&chunk[..length as usize])
                .await
                .map_err(text)?;
            left -= length;
        }
        Ok(format!(
            "{bytes} bytes in {}us",
            (self.world.now() - start).as_micros()
        ))
    }

    /// Receives until the peer ends: `1048576 bytes in 1234us`.
    pub(crate) async fn download(&mut self, name: &str) -> Outcome {
        let start = self.world.now();
        let mut bytes = 0;
        loop {
            match self.tcp(name)?.receive(CHUNK, None).await.map_err(text)? {
                Received::End => break,
                more => bytes += some(more)?,
            }
        }
        Ok(format!(
            "{bytes} bytes in {}us",
            (self.world.now() - start).as_micros()
        ))
    }
}

/// How many bytes there are, where there must be some.
fn some(received: Received) -> Result<usize, String> {
    match received {
        Received::Bytes(bytes) => Ok(bytes.len()),
        Received::End => Err("eof".to_owned()),
        Received::Timeout => Err("timeout".to_owned()),
    }
}

/// Measured times. Prints `median 41.2us of 1000`.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn add(&mut self, time: Duration) {
        self.0.push(time);
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times = self.0.clone();
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        write!(f, "median {:.1}us of {}", median.as_secs_f64() * 1e6, times.len())
    }
}
