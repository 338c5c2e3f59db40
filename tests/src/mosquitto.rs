//! A real MQTT server.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{Connect, Packet, PubAck, PubComp, PubRec, Publish, Subscribe};
use rumqttc::mqttbytes::{Error, QoS};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{Process, free_port, system_program, wait_until_listening};
use crate::tls::Identity;
use crate::until::PATIENCE;

/// A Mosquitto server on a free port of 127.0.0.1 that keeps nothing beyond its end. Stopped when dropped.
#[derive(Debug)]
pub struct Mosquitto {
    port: u16,
    tls_port: Option<u16>,
    folder: TempDir,
    process: Option<Process>,
}

/// Whoever hears what is published.
#[derive(Debug)]
pub struct Subscriber {
    stream: TcpStream,
    incoming: BytesMut,
}

impl Mosquitto {
    /// Starts a server for everybody and waits until it listens.
    ///
    /// # Panics
    ///
    /// If `mosquitto` is not installed, or does not listen within 20 seconds.
    pub fn start() -> Self {
        Self::start_as("allow_anonymous true\n", None)
    }

    /// The same, which lets in only `user` with `password`.
    ///
    /// # Panics
    ///
    /// As [`start`](Mosquitto::start) does, or if `mosquitto_passwd` is not installed.
    pub fn start_for(user: &str, password: &str) -> Self {
        Self::start_as(
            "allow_anonymous false\npassword_file passwords\n",
            Some(Extra::Login(user, password)),
        )
    }

    /// The same, which also speaks TLS on another port, with this certificate.
    ///
    /// # Panics
    ///
    /// As [`start`](Mosquitto::start) does.
    pub fn start_with_tls(identity: &Identity) -> Self {
        Self::start_as("allow_anonymous true\n", Some(Extra::Tls(identity)))
    }

    /// The same, for everybody, whose sessions and messages are there again when it [starts again](Mosquitto::start_again).
    ///
    /// # Panics
    ///
    /// As [`start`](Mosquitto::start) does.
    pub fn start_persistent() -> Self {
        let kept = "allow_anonymous true\npersistence true\npersistence_location ./\nmax_queued_messages 0\n";
        Self::start_as(kept, None)
    }

    /// Ends it, in the middle of whatever its clients are at.
    ///
    /// # Panics
    ///
    /// If it does not end within a minute.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::TERM);
            process.wait(PATIENCE).expect("it ends");
        }
    }

    /// Starts it again where it was, and waits until it listens.
    ///
    /// # Panics
    ///
    /// As [`start`](Mosquitto::start) does.
    pub fn start_again(&mut self) {
        self.stop();
        self.process = Some(run(&self.folder, &[self.port]));
    }

    fn start_as(settings: &str, extra: Option<Extra<'_>>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kept = |name: &str, content: &str| {
            fs::write(folder.path().join(name), content).expect("a file in a folder of our own");
        };
        let port = free_port();
        // It reads its files as whoever runs the test, and takes no other user for that.
        let mut config = format!("user root\n{settings}listener {port} 127.0.0.1\n");
        let mut tls_port = None;
        match extra {
            None => {}
            Some(Extra::Login(user, password)) => {
                kept("passwords", &format!("{user}:{password}\n"));
                let hashed = Command::new("mosquitto_passwd")
                    .args(["-U", "passwords"])
                    .current_dir(folder.path())
                    .status();
                let installed = "install the package `mosquitto`";
                assert!(hashed.expect(installed).success(), "{installed}");
            }
            Some(Extra::Tls(identity)) => {
                kept("server.pem", &identity.certificate);
                kept("server.key", &identity.key);
                let port = free_port();
                tls_port = Some(port);
                config.push_str(&format!(
                    "listener {port} 127.0.0.1\ncertfile server.pem\nkeyfile server.key\n"
                ));
            }
        }
        kept("mosquitto.conf", &config);
        let ports: Vec<u16> = [Some(port), tls_port].into_iter().flatten().collect();
        let process = Some(run(&folder, &ports));
        Self {
            port,
            tls_port,
            folder,
            process,
        }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port on which it speaks TLS, if it does.
    pub fn tls_port(&self) -> Option<u16> {
        self.tls_port
    }

    /// The lines of its log that have `text` in them: packets, and how clients come and go.
    ///
    /// # Panics
    ///
    /// If it has none.
    pub fn log_with(&self, text: &str) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("log")).expect("it has a log");
        let lines = log.lines().filter(|line| line.contains(text));
        lines.map(str::to_owned).collect()
    }

    /// Subscribes to what `filter` matches, of every quality of service.
    ///
    /// # Panics
    ///
    /// If the server does not let everybody in.
    pub fn subscribe(&self, filter: &str) -> Subscriber {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut subscriber = Subscriber {
            stream,
            incoming: BytesMut::new(),
        };
        let mut connect = Connect::new("subscriber");
        connect.keep_alive = 0;
        subscriber.send(&Packet::Connect(connect));
        assert!(matches!(subscriber.receive(), Packet::ConnAck(_)));
        let mut subscribe = Subscribe::new(filter, QoS::ExactlyOnce);
        subscribe.pkid = 1;
        subscriber.send(&Packet::Subscribe(subscribe));
        assert!(matches!(subscriber.receive(), Packet::SubAck(_)));
        subscriber
    }
}

/// Runs it in its folder, until it listens on all of `ports`.
fn run(folder: &TempDir, ports: &[u16]) -> Process {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.path().join("log"))
        .expect("a file in a folder of our own");
    let mut command = Command::new(system_program("mosquitto"));
    command
        .args(["-v", "-c", "mosquitto.conf"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let process = Process::start(&mut command, Signal::TERM).unwrap_or_else(|error| {
        panic!("cannot start `mosquitto` ({error}): install the package `mosquitto`")
    });
    for port in ports {
        wait_until_listening("mosquitto", *port);
    }
    process
}

/// Publishes payloads, each on its topic and in their order, at least once: what the server on `port` has not confirmed
/// when it ends is published again when it is back.
///
/// # Panics
///
/// If it does not come back within a minute, or says something else.
pub fn publish(port: u16, messages: &[(&str, String)]) {
    let mut confirmed = 0;
    let mut last_success = Instant::now();
    while confirmed < messages.len() {
        let before = confirmed;
        // Who went away is waited for.
        let _ = publish_from(port, messages, &mut confirmed);
        if confirmed > before {
            last_success = Instant::now();
        }
        assert!(last_success.elapsed() < PATIENCE, "the server does not come back");
        thread::sleep(Duration::from_millis(20));
    }
}

fn publish_from(port: u16, messages: &[(&str, String)], confirmed: &mut usize) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut incoming = BytesMut::new();
    let mut connect = Connect::new("publisher");
    connect.keep_alive = 0;
    stream.write_all(&bytes_of(&Packet::Connect(connect)))?;
    let consent = receive(&mut stream, &mut incoming)?;
    assert!(matches!(consent, Packet::ConnAck(_)), "{consent:?}");
    let mut sent = *confirmed;
    while *confirmed < messages.len() {
        let mut outgoing = BytesMut::new();
        while sent < messages.len() && sent < *confirmed + MOST_UNCONFIRMED {
            let (topic, payload) = &messages[sent];
            let mut message = Publish::new(*topic, QoS::AtLeastOnce, payload.as_str());
            message.pkid = u16::try_from(sent % 60_000).expect("a small number") + 1;
            outgoing.extend_from_slice(&bytes_of(&Packet::Publish(message)));
            sent += 1;
        }
        stream.write_all(&outgoing)?;
        match receive(&mut stream, &mut incoming)? {
            Packet::PubAck(_) => *confirmed += 1,
            packet => panic!("{packet:?}"),
        }
    }
    Ok(())
}

fn receive(stream: &mut TcpStream, incoming: &mut BytesMut) -> io::Result<Packet> {
    loop {
        match Packet::read(incoming, usize::MAX) {
            Ok(packet) => return Ok(packet),
            Err(Error::InsufficientBytes(_)) => {
                let mut buffer = [0; 4096];
                match stream.read(&mut buffer)? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    length => incoming.extend_from_slice(&buffer[..length]),
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn bytes_of(packet: &Packet) -> BytesMut {
    let mut bytes = BytesMut::new();
    packet.write(&mut bytes, usize::MAX).expect("a packet of our own");
    bytes
}

/// Messages that a publisher has under way.
const MOST_UNCONFIRMED: usize = 20;

/// What only some servers have.
enum Extra<'a> {
    Login(&'a str, &'a str),
    Tls(&'a Identity),
}

impl Subscriber {
    /// The next message: its topic, its quality of service as a number, and its payload.
    ///
    /// # Panics
    ///
    /// If there is none within a minute.
    pub fn next_message(&mut self) -> (String, u8, Vec<u8>) {
        loop {
            match self.receive() {
                Packet::Publish(message) => {
                    match message.qos {
                        QoS::AtMostOnce => {}
                        QoS::AtLeastOnce => self.send(&Packet::PubAck(PubAck::new(message.pkid))),
                        QoS::ExactlyOnce => self.send(&Packet::PubRec(PubRec::new(message.pkid))),
                    }
                    return (message.topic, message.qos as u8, message.payload.to_vec());
                }
                Packet::PubRel(release) => self.send(&Packet::PubComp(PubComp::new(release.pkid))),
                packet => panic!("{packet:?}"),
            }
        }
    }

    fn send(&mut self, packet: &Packet) {
        self.stream
            .write_all(&bytes_of(packet))
            .expect("the server reads");
    }

    fn receive(&mut self) -> Packet {
        receive(&mut self.stream, &mut self.incoming).expect("the server answers")
    }
}
