//! Packets over a connection: what is sent, and what comes, of which the length is looked at before it is read.
//!
//! A packet has a header of four bytes: its length and a number that counts up within a command and its answer. One of
//! 16 MiB or more comes in several, which are joined here. What all of an answer may take together is bounded too, so
//! that a server that never ends is not listened to forever.
//!
//! Reading may be given up at any moment and gone on with later: what was read stays here. Sending may not.

use std::io;
use std::task::{Context, Waker};

use bytes::{Bytes, BytesMut};
use mysql_common::proto::codec::error::PacketCodecError;
use mysql_common::proto::codec::{ChunkDecoder, ChunkInfo, packet_to_chunks};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::room::Room;

/// What packets go over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Packets in both directions.
pub(super) struct Packets<S = Box<dyn Stream>> {
    stream: S,
    /// What was read, and is not whole yet.
    input: BytesMut,
    packet: BytesMut,
    decoder: ChunkDecoder,
    /// The number of the next packet, of whoever sends it.
    number: u8,
    /// What all packets of this answer may still take.
    room: Room,
    sending: bool,
}

/// The number of the next packet, and the room for it.
pub(super) struct Numbering(u8, Room);

/// No packet will come any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the connection was broken off")]
    Broken,
    #[error("the answer is larger than any may be")]
    TooLarge,
    #[error("the server does not speak the protocol of MySQL")]
    NotUnderstood,
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

impl<S: Stream> Packets<S> {
    /// Over a new connection, on which `room` bytes may come before the first command.
    pub(super) fn over(stream: S, room: usize) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            packet: BytesMut::new(),
            decoder: ChunkDecoder::Idle,
            number: 0,
            room: Room::new(room),
            sending: false,
        }
    }

    /// What they went over, to speak TLS there, and where they were. Nothing may have come that was not asked for: it would
    /// be taken for what came through TLS.
    pub(super) fn interrupted(self) -> Result<(S, Numbering), Ended> {
        if !self.input.is_empty() {
            return Err(Ended::NotUnderstood);
        }
        Ok((self.stream, Numbering(self.number, self.room)))
    }

    /// Goes on over another stream.
    pub(super) fn continued(stream: S, Numbering(number, room): Numbering) -> Self {
        Self {
            number,
            room,
            ..Self::over(stream, 0)
        }
    }

    pub(super) fn boxed(self) -> Packets
    where
        S: 'static,
    {
        Packets {
            stream: Box::new(self.stream),
            input: self.input,
            packet: self.packet,
            decoder: self.decoder,
            number: self.number,
            room: self.room,
            sending: self.sending,
        }
    }

    /// The next packet, of at most `most` bytes.
    pub(super) async fn read(&mut self, most: usize) -> Result<Bytes, Ended> {
        loop {
            let decoded = self.decoder.decode(&mut self.input, &mut self.packet, most);
            match decoded {
                Ok(Some(chunk)) => {
                    let (ChunkInfo::Middle(number) | ChunkInfo::Last(number)) = chunk;
                    if number != self.number {
                        return Err(Ended::NotUnderstood);
                    }
                    self.number = number.wrapping_add(1);
                    if let ChunkInfo::Last(_) = chunk {
                        let packet = self.packet.split().freeze();
                        let taken = self.room.take(HEADER + packet.len());
                        return taken.map(|()| packet).map_err(|_| Ended::TooLarge);
                    }
                }
                Ok(None) => {
                    self.input.reserve(AT_ONCE);
                    if self.stream.read_buf(&mut self.input).await? == 0 {
                        return Err(Ended::Broken);
                    }
                }
                Err(PacketCodecError::PacketTooLarge) => return Err(Ended::TooLarge),
                Err(_) => return Err(Ended::NotUnderstood),
            }
        }
    }

    /// Begins a command, whose answer may take `room` bytes.
    pub(super) async fn command(&mut self, payload: &[u8], room: usize) -> Result<(), Ended> {
        self.commands(&[payload], room).await
    }

    /// Begins commands of which only the first one has an answer.
    pub(super) async fn commands(&mut self, payloads: &[&[u8]], room: usize) -> Result<(), Ended> {
        self.room = Room::new(room);
        let mut output = BytesMut::new();
        for payload in payloads.iter().skip(1) {
            packet_to_chunks(0, &mut &**payload, &mut output);
        }
        let rest = output.split();
        if let Some(first) = payloads.first() {
            self.number = packet_to_chunks(0, &mut &**first, &mut output);
        }
        output.extend_from_slice(&rest);
        self.write(&output).await
    }

    /// Sends what a packet of the server asks for.
    pub(super) async fn reply(&mut self, payload: &[u8]) -> Result<(), Ended> {
        let mut output = BytesMut::new();
        self.number = packet_to_chunks(self.number, &mut &*payload, &mut output);
        self.write(&output).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        if std::mem::replace(&mut self.sending, true) {
            return Err(Ended::Broken);
        }
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        self.sending = false;
        Ok(())
    }

    /// Sends a command that has no answer, if that takes no time.
    pub(super) fn command_at_once(&mut self, payload: &[u8]) {
        let sending = std::pin::pin!(self.command(payload, 0));
        let _ = Future::poll(sending, &mut Context::from_waker(Waker::noop()));
    }

    /// Gives back memory that large packets have taken.
    pub(super) fn shrink(&mut self) {
        if self.input.is_empty() && self.packet.is_empty() {
            (self.input, self.packet) = (BytesMut::new(), BytesMut::new());
        }
    }
}

/// A length of three bytes, and a number.
const HEADER: usize = 4;

/// Bytes that are read at once at least.
const AT_ONCE: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;

    fn packets(room: usize) -> (Packets<DuplexStream>, DuplexStream) {
        let (own, other) = tokio::io::duplex(64 << 20);
        (Packets::over(own, room), other)
    }

    fn header(length: usize, number: u8) -> Vec<u8> {
        let length = u32::try_from(length).unwrap().to_le_bytes();
        vec![length[0], length[1], length[2], number]
    }

    // proves: HI-1
    #[tokio::test]
    async fn a_packet_is_refused_by_its_length_before_it_comes() {
        let mib = 1 << 20;
        let most = (1 << 24) - 1;
        let mut parts = header(most, 0);
        parts.resize(4 + most, 7);
        for (bytes, expected) in [
            ([header(3, 0), b"abc".to_vec()].concat(), Ok(3)),
            ([header(0, 0), b"abc".to_vec()].concat(), Ok(0)),
            (
                [header(3, 1), b"abc".to_vec()].concat(),
                Err(Ended::NotUnderstood),
            ),
            (header(3 * mib, 0), Err(Ended::Broken)),
            (header(5 * mib, 0), Err(Ended::TooLarge)),
            ([header(3, 0), b"ab".to_vec()].concat(), Err(Ended::Broken)),
            (vec![1, 0], Err(Ended::Broken)),
        ] {
            let (mut packets, mut server) = packets(4 * mib);
            server.write_all(&bytes).await.unwrap();
            drop(server);
            let found = packets.read(4 * mib).await.map(|packet| packet.len());
            assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{:?}", &bytes[..2]);
        }
        // One that comes in parts.
        for (last, expected) in [(header(0, 1), Ok(most)), (header(9, 1), Err(Ended::TooLarge))] {
            let (mut packets, mut server) = packets(1 << 30);
            server.write_all(&[&parts[..], &last].concat()).await.unwrap();
            let found = packets.read(most + 8).await.map(|packet| packet.len());
            assert_eq!(format!("{found:?}"), format!("{expected:?}"));
        }
    }

    #[tokio::test]
    async fn all_packets_of_an_answer_are_bounded_together_and_the_next_one_has_its_own_room() {
        let (mut packets, mut server) = packets(0);
        for number in 0..2_u8 {
            packets.command(b"\x0e", 30).await.unwrap();
            let mut sent = Vec::new();
            for number in 1..5 {
                sent.extend([header(6, number), b"abcdef".to_vec()].concat());
            }
            server.write_all(&sent).await.unwrap();
            for _ in 0..3 {
                assert_eq!(packets.read(100).await.unwrap(), &b"abcdef"[..], "{number}");
            }
            assert!(matches!(packets.read(100).await, Err(Ended::TooLarge)));
        }
    }

    #[tokio::test]
    async fn reading_that_was_given_up_goes_on_where_it_was() {
        let (mut packets, mut server) = packets(100);
        server.write_all(&[6, 0, 0, 0, b'a']).await.unwrap();
        let given_up = tokio::time::timeout(std::time::Duration::from_millis(20), packets.read(100));
        assert!(given_up.await.is_err());
        server.write_all(b"bcdef").await.unwrap();
        assert_eq!(packets.read(100).await.unwrap(), &b"abcdef"[..]);
    }

    #[tokio::test]
    async fn a_long_statement_goes_in_parts_and_those_behind_it_have_numbers_of_their_own() {
        let (mut packets, mut server) = packets(0);
        let long = vec![7; (1 << 24) + 5];
        packets.commands(&[&long, b"abc"], 10).await.unwrap();
        let mut sent = vec![0; 4 + (1 << 24) - 1 + 4 + 6 + 4 + 3];
        server.read_exact(&mut sent).await.unwrap();
        assert_eq!(sent[..4], [0xff, 0xff, 0xff, 0]);
        assert_eq!(sent[4 + (1 << 24) - 1..][..4], [6, 0, 0, 1]);
        assert_eq!(sent[sent.len() - 7..], *b"\x03\0\0\0abc");
        server.write_all(&header(0, 2)).await.unwrap();
        assert!(packets.read(10).await.unwrap().is_empty());
    }
}
