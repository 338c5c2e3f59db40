//! The server: one UDP and one TCP socket on the same port, a script, and a log.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;

use super::reply::{Fate, Reply};

/// A running DNS server. Ends when dropped.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
}

/// One question as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The name, in the case it was sent in, without the last dot. Names on the wire are always absolute, so a
    /// search domain that somebody appended shows here.
    pub name: String,
    /// What was asked for: A, AAAA, …
    pub record_type: RecordType,
    /// How it came.
    pub transport: Transport,
}

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// Over a connection, as after a truncated answer.
    Tcp,
}

impl DnsServer {
    /// Starts a server on a free port of 127.0.0.1. It knows no name.
    pub fn start() -> Self {
        Self::start_on(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// Starts a server on a free port of `address`.
    pub fn start_on(address: IpAddr) -> Self {
        let (datagrams, connections) = bind_both(address);
        let address = datagrams.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State::default());
        let threads = vec![
            thread::spawn({
                let state = Arc::clone(&state);
                move || answer_datagrams(datagrams, &state)
            }),
            thread::spawn({
                let state = Arc::clone(&state);
                move || answer_connections(&connections, &state)
            }),
        ];
        Self {
            address,
            state,
            threads,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on queries for `name` of any type take these replies, one after the other; the last repeats.
    pub fn answers(&self, name: &str, replies: impl IntoIterator<Item = Reply>) -> &Self {
        self.script(name, None, replies)
    }

    /// The same for one record type, which then has precedence over [`DnsServer::answers`].
    pub fn answers_of(
        &self,
        record_type: RecordType,
        name: &str,
        replies: impl IntoIterator<Item = Reply>,
    ) -> &Self {
        self.script(name, Some(record_type), replies)
    }

    fn script(
        &self,
        name: &str,
        record_type: Option<RecordType>,
        replies: impl IntoIterator<Item = Reply>,
    ) -> &Self {
        let replies: Vec<Reply> = replies.into_iter().collect();
        assert!(!replies.is_empty(), "a script for `{name}` needs a reply");
        let script = Script {
            replies,
            taken: HashMap::new(),
        };
        lock(&self.state.scripts).insert((name.to_ascii_lowercase(), record_type), script);
        self
    }

    /// Every query so far, in the order of arrival.
    pub fn queries(&self) -> Vec<Query> {
        lock(&self.state.log).clone()
    }

    /// The queries for `name`, whatever their case.
    pub fn queries_for(&self, name: &str) -> Vec<Query> {
        self.queries()
            .into_iter()
            .filter(|query| query.name.eq_ignore_ascii_case(name))
            .collect()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[derive(Debug, Default)]
struct State {
    scripts: Mutex<HashMap<(String, Option<RecordType>), Script>>,
    log: Mutex<Vec<Query>>,
    ended: AtomicBool,
}

#[derive(Debug)]
struct Script {
    replies: Vec<Reply>,
    taken: HashMap<RecordType, usize>,
}

impl Script {
    fn next(&mut self, record_type: RecordType) -> Reply {
        let taken = self.taken.entry(record_type).or_default();
        let reply = self.replies[(*taken).min(self.replies.len() - 1)].clone();
        *taken += 1;
        reply
    }
}

impl State {
    fn ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Logs the query and takes its reply.
    fn reply_to(&self, message: &Message, transport: Transport) -> Option<Reply> {
        let question = message.queries.first()?;
        let labels: Vec<_> = question.name.iter().map(String::from_utf8_lossy).collect();
        let (name, record_type) = (labels.join("."), question.query_type);
        lock(&self.log).push(Query {
            name: name.clone(),
            record_type,
            transport,
        });
        let name = name.to_ascii_lowercase();
        let mut scripts = lock(&self.scripts);
        for key in [(name.clone(), Some(record_type)), (name, None)] {
            if let Some(script) = scripts.get_mut(&key) {
                return Some(script.next(record_type));
            }
        }
        Some(Reply::nxdomain())
    }
}

/// How long a blocked call may keep an ended server alive.
const POLL: Duration = Duration::from_millis(20);

fn answer_datagrams(socket: UdpSocket, state: &Arc<State>) {
    let socket = Arc::new(socket);
    let mut buffer = [0; 4096];
    while !state.ended() {
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Ok(query) = Message::from_vec(&buffer[..length]) else {
            continue;
        };
        let Some(reply) = state.reply_to(&query, Transport::Udp) else {
            continue;
        };
        match reply.fate {
            Fate::Unsent => {}
            Fate::ServerDies => state.ended.store(true, Ordering::SeqCst),
            Fate::Sent => {
                let socket = Arc::clone(&socket);
                let answer = reply.message(&query, Some(query.max_payload().into()));
                after(reply.delay, move || {
                    let _ = socket.send_to(&answer, peer);
                });
            }
        }
    }
}

fn answer_connections(listener: &TcpListener, state: &Arc<State>) {
    while !state.ended() {
        match listener.accept() {
            Ok((stream, _)) => {
                let state = Arc::clone(state);
                thread::spawn(move || {
                    let _ = answer_connection(stream, &state);
                });
            }
            Err(_) => thread::sleep(POLL),
        }
    }
}

/// Answers the messages of one connection, each with two bytes of length before it (RFC 1035, 4.2.2).
fn answer_connection(mut stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    while !state.ended() {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut message)?;
        let query = Message::from_vec(&message).map_err(io::Error::other)?;
        let Some(reply) = state.reply_to(&query, Transport::Tcp) else {
            continue;
        };
        match reply.fate {
            Fate::Unsent => continue,
            Fate::ServerDies => state.ended.store(true, Ordering::SeqCst),
            Fate::Sent => {
                thread::sleep(reply.delay);
                let answer = reply.message(&query, None);
                let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
                stream.write_all(&length.to_be_bytes())?;
                stream.write_all(&answer)?;
            }
        }
    }
    Ok(())
}

/// Runs `action` now, or on a thread of its own after `delay`, so that one slow answer holds no other up.
fn after(delay: Duration, action: impl FnOnce() + Send + 'static) {
    if delay.is_zero() {
        return action();
    }
    thread::spawn(move || {
        thread::sleep(delay);
        action();
    });
}

/// A free UDP port may be a taken TCP port, hence several tries.
fn bind_both(address: IpAddr) -> (UdpSocket, TcpListener) {
    for _ in 0..50 {
        let datagrams = UdpSocket::bind((address, 0)).expect("a free UDP port");
        let port = datagrams
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        if let Ok(connections) = TcpListener::bind((address, port)) {
            datagrams
                .set_read_timeout(Some(POLL))
                .expect("a time-out can be set");
            connections
                .set_nonblocking(true)
                .expect("a listener can be non-blocking");
            return (datagrams, connections);
        }
    }
    panic!("no port of {address} is free for both UDP and TCP");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("no thread panics with a lock of the DNS server")
}
