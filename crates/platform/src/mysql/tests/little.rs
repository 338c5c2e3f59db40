//! A server that speaks a little of MySQL, as its documentation says: how it lets clients in is in its [`Manner`], and what
//! it answers to a statement in the statement.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql_common::scramble::{scramble_native, scramble_sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::key;

/// A server for the user `me`, whose password is `secret`. It counts its connections, and keeps what it was asked.
#[derive(Clone)]
pub(super) struct Little {
    pub(super) at: SocketAddr,
    connections: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<String>>>,
    manner: Manner,
}

/// How it lets clients in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Native,
    /// By its cache.
    Sha2,
    /// By the password, for its key.
    Sha2Full,
    /// It gives out what is no key.
    Sha2NoKey,
    /// It switches to that.
    Switch(&'static [u8]),
    /// It sends that first, and no more.
    First(&'static [u8]),
    /// It has TLS, and sends that when it is asked for it.
    Tls(&'static [u8]),
    /// It has TLS, and sends something before it is asked for it.
    Hasty,
    /// It never comes to an end.
    Endless,
}

const NONCE: &[u8; 20] = b"abcdefghijklmnopqrst";
const OTHER_NONCE: &[u8; 20] = b"ABCDEFGHIJKLMNOPQRST";
const OK: &[u8] = b"\0\0\0\x02\0\0\0";
const END: &[u8] = b"\xfe\0\0\x02\0";
/// The same where there is another result.
const END_FOR_NOW: &[u8] = b"\xfe\0\0\x0a\0";

impl Little {
    pub(super) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            at: listener.local_addr().unwrap(),
            connections: Arc::default(),
            asked: Arc::default(),
            manner,
        };
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                own.connections.fetch_add(1, Ordering::Relaxed);
                let own = own.clone();
                tokio::spawn(async move {
                    let mut wire = Wire { stream, number: 0 };
                    if own.let_in(&mut wire).await.is_some() {
                        own.serve(wire).await;
                    }
                });
            }
        });
        server
    }

    pub(super) fn address(&self) -> String {
        format!("mysql://me:secret@{}/db", self.at)
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Until it was asked that so many times.
    pub(super) async fn until_asked(&self, what: &str, number: usize) {
        for _ in 0..1000 {
            if self.asked().iter().filter(|asked| *asked == what).count() >= number {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what}: {:?}", self.asked());
    }

    fn note(&self, what: &str) {
        self.asked.lock().unwrap().push(what.to_owned());
    }

    async fn let_in(&self, wire: &mut Wire) -> Option<()> {
        let (plugin, flags) = match self.manner {
            Manner::Sha2 | Manner::Sha2Full | Manner::Sha2NoKey | Manner::Endless => {
                ("caching_sha2_password", 0)
            }
            Manner::Tls(_) | Manner::Hasty => ("mysql_native_password", 0x0800),
            _ => ("mysql_native_password", 0),
        };
        if let Manner::First(bytes) = self.manner {
            wire.stream.write_all(bytes).await.ok()?;
            return std::future::pending().await;
        }
        let mut greeting = b"\x0a8.4.0-little\0\x01\0\0\0".to_vec();
        greeting.extend(&NONCE[..8]);
        greeting.extend([0, 0xff, 0xf7 | u8::try_from(flags >> 8).unwrap()]);
        greeting.extend(b"\x2d\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0");
        greeting.extend(&NONCE[8..]);
        greeting.extend([b"\0", plugin.as_bytes(), b"\0"].concat());
        if self.manner == Manner::Hasty {
            let whole = [packet(0, &greeting), packet(2, OK)].concat();
            wire.stream.write_all(&whole).await.ok()?;
            return std::future::pending().await;
        }
        wire.send(&greeting).await?;
        let response = wire.read().await?;
        if let Manner::Tls(bytes) = self.manner {
            assert_eq!(response.len(), 32, "it asks for TLS: {response:?}");
            wire.stream.write_all(bytes).await.ok()?;
            return std::future::pending().await;
        }
        // Behind flags, a length, a collation and what is reserved: the user, the answer, the database and the way.
        let (_, rest) = response.split_at_checked(32)?;
        let rest = rest.strip_prefix(b"me\0")?;
        let (answer, rest) = rest[1..].split_at_checked(rest[0].into())?;
        assert_eq!(rest, [b"db\0", plugin.as_bytes(), b"\0"].concat());
        self.consent(wire, answer).await
    }

    async fn consent(&self, wire: &mut Wire, answer: &[u8]) -> Option<()> {
        let native = |nonce: &[u8]| scramble_native(nonce, b"secret").unwrap().to_vec();
        let sha2 = |nonce: &[u8]| scramble_sha256(nonce, b"secret").unwrap().to_vec();
        let knows = match self.manner {
            Manner::Native => answer == native(NONCE),
            Manner::Sha2 => {
                wire.send(&[1, 3]).await?;
                answer == sha2(NONCE)
            }
            Manner::Sha2Full | Manner::Sha2NoKey => {
                wire.send(&[1, 4]).await?;
                assert_eq!(wire.read().await?, [2]);
                let pem = match self.manner {
                    Manner::Sha2Full => key::PEM,
                    _ => "no key",
                };
                wire.send(&[b"\x01", pem.as_bytes()].concat()).await?;
                key::decrypted(&wire.read().await?, NONCE).as_deref() == Some("secret")
            }
            Manner::Switch(to) => {
                let switch = [b"\xfe", to, b"\0", &OTHER_NONCE[..], b"\0"].concat();
                let switch = if to.is_empty() { vec![0xfe] } else { switch };
                wire.send(&switch).await?;
                let answer = wire.read().await?;
                self.note(&format!("{} bytes after a switch", answer.len()));
                answer == native(OTHER_NONCE) || answer == sha2(OTHER_NONCE)
            }
            Manner::Endless => loop {
                wire.send(&[1, 3]).await?;
            },
            Manner::First(_) | Manner::Tls(_) | Manner::Hasty => false,
        };
        if !knows {
            wire.send(b"\xff\x15\x04#28000Access denied for user 'me'")
                .await?;
            return None;
        }
        wire.send(OK).await
    }

    async fn serve(&self, mut wire: Wire) -> Option<()> {
        let mut statement = String::new();
        loop {
            wire.number = 0;
            let command = wire.read().await?;
            let (kind, content) = command.split_first()?;
            match kind {
                0x01 => {
                    self.note("quit");
                    return None;
                }
                0x11 => {
                    self.note("renewed");
                    if statement == "stay" {
                        wire.send(b"\xff\x15\x04#28000no").await?;
                    } else {
                        wire.send(OK).await?;
                    }
                }
                0x16 => {
                    statement = String::from_utf8(content.to_vec()).ok()?;
                    self.note(&statement);
                    self.prepared(&mut wire, &statement).await?;
                }
                // As one that knows no roles.
                0x03 if content == b"SET ROLE NONE" => {
                    wire.send(b"\xff\x28\x04#42000You have an error in your SQL syntax")
                        .await?;
                }
                0x03 => {
                    self.note("as text");
                    for packet in [&b"\x01"[..], &column(0x03), END, b"\x0242", b"\xfb", END] {
                        wire.send(packet).await?;
                    }
                }
                0x17 => self.executed(&mut wire, &statement).await?,
                // Of a statement, which has no answer.
                0x19 => {}
                other => panic!("{other:#x}"),
            }
        }
    }

    async fn prepared(&self, wire: &mut Wire, statement: &str) -> Option<()> {
        let parameters = statement.matches('?').count();
        match statement {
            "error" => return wire.send(b"\xff\x7a\x04#42S02Table 'x' doesn't exist").await,
            "unprepared" => return wire.send(b"\xff\x0f\x05#HY000not yet").await,
            "drop" => return None,
            // It says that there are as many as there can be, and sends none.
            "parameters" => return wire.send(b"\0\x01\0\0\0\0\0\xff\xff\0\0\0").await,
            _ => {}
        }
        let parameters = u8::try_from(parameters).unwrap();
        wire.send(&[0, 1, 0, 0, 0, 1, 0, parameters, 0, 0, 0, 0]).await?;
        for definitions in [parameters, 1] {
            if definitions > 0 {
                for _ in 0..definitions {
                    wire.send(&column(0x03)).await?;
                }
                wire.send(END).await?;
            }
        }
        Some(())
    }

    async fn executed(&self, wire: &mut Wire, statement: &str) -> Option<()> {
        let rows = [&b"\x01"[..], &column(0x03), END];
        match statement {
            "done" => return wire.send(OK).await,
            "nothing" => return std::future::pending().await,
            "file" => {
                wire.send(b"\xfb/etc/passwd").await?;
                let mut after = Vec::new();
                wire.stream.read_to_end(&mut after).await.ok()?;
                // What closes the statement, which was sent with what ran it.
                self.note(&format!("{after:?} after the file was asked for"));
                return None;
            }
            "columns" => return wire.send(b"\xfc\x01\x10").await,
            "large" => {
                wire.stream.write_all(&[0, 0, 0xf0, 1]).await.ok()?;
                return std::future::pending().await;
            }
            "fails" => return wire.send(b"\xff\x7a\x04#HY000it fails").await,
            "nulls" => {
                wire.send(b"\xfc\0\x10").await?;
                for _ in 0..4096 {
                    wire.send(&column(0x03)).await?;
                }
                wire.send(END).await?;
                loop {
                    wire.send(&[&[0][..], &[0xff; 513]].concat()).await?;
                }
            }
            "text" => {
                for packet in [&b"\x01"[..], &column(0xfc), END] {
                    wire.send(packet).await?;
                }
                let row = [&b"\0\0\xfd\0\0\x10"[..], &vec![b'a'; 1 << 20]].concat();
                loop {
                    wire.send(&row).await?;
                }
            }
            _ => {}
        }
        for packet in rows {
            wire.send(packet).await?;
        }
        match statement {
            "none" => wire.send(END).await,
            "broken" => wire.send(b"\0\0\x01").await,
            "halfway" => {
                wire.send(b"\0\0\x01\0\0\0").await?;
                wire.stream.write_all(&[6, 0, 0, wire.number, 0]).await.ok()?;
                std::future::pending().await
            }
            "fails later" => {
                wire.send(b"\0\0\x01\0\0\0").await?;
                wire.send(b"\xff\x7a\x04#HY000it fails later").await
            }
            "procedure" => {
                wire.send(b"\0\0\x01\0\0\0").await?;
                wire.send(END_FOR_NOW).await?;
                for packet in rows {
                    wire.send(packet).await?;
                }
                wire.send(b"\0\0\x02\0\0\0").await?;
                wire.send(END_FOR_NOW).await?;
                wire.send(OK).await
            }
            _ => {
                wire.send(b"\0\0\x01\0\0\0").await?;
                wire.send(b"\0\0\xff\xff\xff\xff").await?;
                wire.send(END).await
            }
        }
    }
}

/// One side of a connection.
struct Wire {
    stream: TcpStream,
    number: u8,
}

impl Wire {
    async fn send(&mut self, content: &[u8]) -> Option<()> {
        let packet = packet(self.number, content);
        self.number = self.number.wrapping_add(1);
        self.stream.write_all(&packet).await.ok()
    }

    async fn read(&mut self) -> Option<Vec<u8>> {
        let [a, b, c, number] = self.stream.read_u32().await.ok()?.to_be_bytes();
        assert_eq!(number, self.number);
        self.number = number.wrapping_add(1);
        let mut content = vec![0; u32::from_le_bytes([a, b, c, 0]) as usize];
        self.stream.read_exact(&mut content).await.ok()?;
        Some(content)
    }
}

fn packet(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&length[..3], &[number], content].concat()
}

fn column(kind: u8) -> Vec<u8> {
    let mut bytes = b"\x03def\0\0\0\x01n\0\x0c\x2d\0\x0b\0\0\0".to_vec();
    bytes.extend([kind, 0, 0, 0, 0, 0]);
    bytes
}
