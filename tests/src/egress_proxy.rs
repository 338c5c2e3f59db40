//! Egress proxies: one of the test's own, which speaks HTTP and SOCKS5 and does as it is told, and Debian's tinyproxy.
//!
//! The one of the test's own notes what it is asked for, letter by letter, and connects wherever the test wants: so a guest
//! can go to an address that nobody has, and no packet leaves the machine.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{Process, free_port};
use crate::until::until;

/// What a proxy does when it was asked for something.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Connects to the address that this has for the port that it was asked for, and refuses every other port.
    Relay(HashMap<u16, SocketAddr>),
    /// Connects to what it was asked for.
    RelayThere,
    /// Says this, whatever it was asked for, and hangs up.
    Says(Vec<u8>),
    /// Says this, and nothing after it.
    SaysAndWaits(Vec<u8>),
}

/// A proxy on a port of 127.0.0.1, for as long as the test runs.
#[derive(Debug)]
pub struct EgressProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl EgressProxy {
    /// A proxy of this manner, to whom nobody has to say who he is.
    pub fn start(manner: Manner) -> Self {
        Self::start_for(manner, None)
    }

    /// A proxy that wants `user:password`.
    pub fn start_for(manner: Manner, credentials: Option<&str>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free TCP port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, credentials) = (asked.clone(), credentials.map(str::to_owned));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let one = Conversation {
                    manner: manner.clone(),
                    asked: noted.clone(),
                    credentials: credentials.clone(),
                };
                thread::spawn(move || one.hold(client));
            }
        });
        Self { address, asked }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, with `http` or `socks5`.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// All that it was asked for so far: `10.0.0.5:5432`, or a name if somebody sent one.
    ///
    /// # Panics
    ///
    /// If a conversation has.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no conversation panics").clone()
    }
}

struct Conversation {
    manner: Manner,
    asked: Arc<Mutex<Vec<String>>>,
    credentials: Option<String>,
}

impl Conversation {
    fn hold(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut first = [0; 1];
        client.read_exact(&mut first)?;
        if first == [5] {
            self.speak_socks(client)
        } else {
            self.speak_http(client, first[0])
        }
    }

    fn speak_http(&self, mut client: TcpStream, first: u8) -> io::Result<()> {
        let mut head = vec![first];
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0; 1];
            client.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let target = head.split(' ').nth(1).unwrap_or_default();
        if let Some(credentials) = &self.credentials
            && !head.contains(&format!("Proxy-Authorization: Basic {}\r\n", base64(credentials)))
        {
            return client.write_all(b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic\r\n\r\n");
        }
        let Some(server) = self.connect(target, &mut client)? else {
            return Ok(());
        };
        match server {
            Ok(server) => {
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
                relay(&client, &server);
                Ok(())
            }
            Err(_) => client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
        }
    }

    fn speak_socks(&self, mut client: TcpStream) -> io::Result<()> {
        let [count] = read(&mut client)?;
        let mut methods = vec![0; count.into()];
        client.read_exact(&mut methods)?;
        let wanted = if self.credentials.is_some() { 2 } else { 0 };
        if !methods.contains(&wanted) {
            return client.write_all(&[5, 0xff]);
        }
        client.write_all(&[5, wanted])?;
        if let Some(credentials) = &self.credentials {
            let [_version, length] = read(&mut client)?;
            let mut user = vec![0; length.into()];
            client.read_exact(&mut user)?;
            let [length] = read(&mut client)?;
            let mut password = vec![0; length.into()];
            client.read_exact(&mut password)?;
            let said = [&user[..], b":", &password].concat();
            if said != credentials.as_bytes() {
                return client.write_all(&[1, 1]);
            }
            client.write_all(&[1, 0])?;
        }
        let [_version, _command, _reserved, form] = read(&mut client)?;
        let host = match form {
            1 => IpAddr::from(Ipv4Addr::from(read::<4>(&mut client)?)).to_string(),
            4 => format!("[{}]", Ipv6Addr::from(read::<16>(&mut client)?)),
            _ => {
                let [length] = read(&mut client)?;
                let mut name = vec![0; length.into()];
                client.read_exact(&mut name)?;
                String::from_utf8_lossy(&name).into_owned()
            }
        };
        let target = format!("{host}:{}", u16::from_be_bytes(read(&mut client)?));
        let Some(server) = self.connect(&target, &mut client)? else {
            return Ok(());
        };
        // The replies of RFC 1928, section 6.
        let reply = match server.as_ref().map_err(io::Error::kind) {
            Ok(_) => 0,
            Err(io::ErrorKind::NetworkUnreachable) => 3,
            Err(io::ErrorKind::HostUnreachable) => 4,
            Err(_) => 5,
        };
        client.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0])?;
        if let Ok(server) = server {
            relay(&client, &server);
        }
        Ok(())
    }

    /// What it connects to; nothing where it says something else.
    fn connect(&self, target: &str, client: &mut TcpStream) -> io::Result<Option<io::Result<TcpStream>>> {
        self.asked
            .lock()
            .expect("no conversation panics")
            .push(target.to_owned());
        let (text, waits) = match &self.manner {
            Manner::Relay(places) => {
                let port = target.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
                let place = port.and_then(|port: u16| places.get(&port));
                let nobody = || Err(io::ErrorKind::ConnectionRefused.into());
                return Ok(Some(place.map_or_else(nobody, TcpStream::connect)));
            }
            Manner::RelayThere => return Ok(Some(TcpStream::connect(target))),
            Manner::Says(text) => (text, false),
            Manner::SaysAndWaits(text) => (text, true),
        };
        client.write_all(text)?;
        if waits {
            // Until the other side hangs up.
            let _ = client.read(&mut [0; 1]);
        }
        Ok(None)
    }
}

fn read<const LENGTH: usize>(stream: &mut TcpStream) -> io::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Both ways, until both are at an end.
fn relay(client: &TcpStream, server: &TcpStream) {
    let pass = |mut from: &TcpStream, mut to: &TcpStream| {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    let _ = client.set_read_timeout(None);
    thread::scope(|scope| {
        scope.spawn(move || pass(client, server));
        pass(server, client);
    });
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Debian's tinyproxy on a free port of 127.0.0.1. Stopped when dropped.
#[derive(Debug)]
pub struct Tinyproxy {
    port: u16,
    _process: Process,
    _folder: TempDir,
}

impl Tinyproxy {
    /// Starts it; it may want a user and a password.
    ///
    /// # Panics
    ///
    /// If `tinyproxy` is not installed, or does not listen within ten seconds.
    pub fn start(credentials: Option<(&str, &str)>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let authentication = credentials.map(|(user, password)| format!("BasicAuth {user} {password}\n"));
        let settings = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nAllow 127.0.0.1\n{}",
            authentication.unwrap_or_default()
        );
        let file = folder.path().join("tinyproxy.conf");
        fs::write(&file, settings).expect("a file in a folder of our own");
        let mut command = Command::new("tinyproxy");
        command.arg("-d").arg("-c").arg(&file);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::start(&mut command, Signal::TERM).expect("tinyproxy (package tinyproxy)");
        until("tinyproxy listens", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Self {
            port,
            _process: process,
            _folder: folder,
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }
}
