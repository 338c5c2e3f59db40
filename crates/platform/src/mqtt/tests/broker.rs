//! A broker of the tests' own, which behaves as it likes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode, Packet, PubAck, PubComp, PubRec, Publish};
use rumqttc::mqttbytes::{Error, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a broker says.
pub(super) enum Says {
    Packets(Vec<Packet>),
    Bytes(Vec<u8>),
    /// This, without end.
    Flood(Packet),
    Closes,
}

/// A broker, and what came to it.
#[derive(Clone)]
pub(super) struct Broker {
    pub(super) at: SocketAddr,
    connections: Arc<AtomicUsize>,
    pub(super) ended: Arc<AtomicUsize>,
    packets: Arc<Mutex<Vec<Packet>>>,
    says: Behaviour,
}

/// What a broker says to each packet.
pub(super) type Behaviour = fn(&Packet) -> Says;

impl Broker {
    pub(super) async fn start(says: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let broker = Self {
            at: listener.local_addr().unwrap(),
            connections: Arc::default(),
            ended: Arc::default(),
            packets: Arc::default(),
            says,
        };
        let own = broker.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                own.connections.fetch_add(1, Ordering::SeqCst);
                let own = own.clone();
                tokio::spawn(async move {
                    own.serve(stream).await;
                    own.ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        broker
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut incoming = BytesMut::new();
        loop {
            let packet = match Packet::read(&mut incoming, usize::MAX) {
                Ok(packet) => packet,
                Err(Error::InsufficientBytes(_)) => match stream.read_buf(&mut incoming).await {
                    Ok(1..) => continue,
                    _ => return None,
                },
                Err(error) => panic!("{error}"),
            };
            self.packets.lock().unwrap().push(packet.clone());
            match (self.says)(&packet) {
                Says::Packets(packets) => {
                    for packet in packets {
                        stream.write_all(&bytes_of(&packet)).await.ok()?;
                    }
                }
                Says::Bytes(bytes) => stream.write_all(&bytes).await.ok()?,
                Says::Flood(packet) => loop {
                    stream.write_all(&bytes_of(&packet)).await.ok()?;
                },
                Says::Closes => return None,
            }
        }
    }

    pub(super) fn url(&self) -> String {
        format!("mqtt://{}", self.at)
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// What came since this was asked last.
    pub(super) fn packets(&self) -> Vec<Packet> {
        self.packets.lock().unwrap().drain(..).collect()
    }

    pub(super) fn client_ids(&self) -> Vec<String> {
        let packets = self.packets();
        let connects = packets.into_iter().filter_map(|packet| match packet {
            Packet::Connect(connect) => Some(connect.client_id),
            _ => None,
        });
        connects.collect()
    }

    pub(super) async fn until_ended(&self, number: usize) {
        while self.ended.load(Ordering::SeqCst) < number {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(super) fn bytes_of(packet: &Packet) -> BytesMut {
    let mut bytes = BytesMut::new();
    packet.write(&mut bytes, usize::MAX).unwrap();
    bytes
}

pub(super) fn consents() -> Says {
    Says::Packets(vec![Packet::ConnAck(ConnAck::new(
        ConnectReturnCode::Success,
        false,
    ))])
}

pub(super) fn unasked() -> Packet {
    Packet::Publish(Publish::new("nobody/asked", QoS::AtMostOnce, vec![0; 1000]))
}

/// As a broker is that keeps to the protocol; topics of messages say how one does not.
pub(super) fn usual(packet: &Packet) -> Says {
    Says::Packets(match packet {
        Packet::Connect(_) => return consents(),
        Packet::Publish(message) => {
            let number = message.pkid;
            match (message.topic.as_str(), message.qos) {
                ("silent", _) => Vec::new(),
                ("close", _) => return Says::Closes,
                ("half", _) => return Says::Bytes(vec![0x40, 2, 0]),
                ("large", _) => return Says::Bytes(vec![0x40, 0xff, 0xff, 0xff, 0x7f]),
                ("longer", _) => return Says::Bytes(vec![0x40, 0xff, 0xff, 0xff, 0xff, 0x7f]),
                ("large/message", _) => return Says::Bytes(vec![0x30, 0xff, 0xff, 0xff, 0x7f]),
                ("garbage", _) => return Says::Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
                ("empty", _) => return Says::Bytes(vec![0x40, 0]),
                ("flood", _) => return Says::Flood(unasked()),
                ("pings", _) => return Says::Flood(Packet::PingResp),
                ("acks", _) => return Says::Flood(Packet::PubAck(PubAck::new(number))),
                ("other", _) => vec![Packet::PubAck(PubAck::new(number.wrapping_add(1)))],
                ("step", _) => vec![Packet::PubComp(PubComp::new(number))],
                ("consent", _) => return consents(),
                (_, QoS::AtMostOnce) => Vec::new(),
                (_, QoS::AtLeastOnce) => vec![Packet::PubAck(PubAck::new(number))],
                (_, QoS::ExactlyOnce) => vec![Packet::PubRec(PubRec::new(number))],
            }
        }
        Packet::PubRel(release) => vec![Packet::PubComp(PubComp::new(release.pkid))],
        Packet::PingReq => vec![Packet::PingResp],
        _ => Vec::new(),
    })
}
