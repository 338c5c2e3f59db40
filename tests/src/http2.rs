//! As much HTTP/2 as a client needs that does what others do not: it grants nothing, asks for nothing, or never ends a
//! header. Frames are written and read as they are (RFC 9113); header names and values are never compressed.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection.
#[derive(Debug)]
pub struct Http2<S = TcpStream> {
    stream: S,
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is, such as [`DATA`].
    pub kind: u8,
    /// Such as [`END_STREAM`].
    pub flags: u8,
    /// 0 is the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// A part of a body.
pub const DATA: u8 = 0;
/// The headers of a request or response.
pub const HEADERS: u8 = 1;
/// The end of a stream that is not its proper one.
pub const RST_STREAM: u8 = 3;
/// What the other side may do.
pub const SETTINGS: u8 = 4;
/// Whether the other side is there.
pub const PING: u8 = 6;
/// No further streams.
pub const GOAWAY: u8 = 7;
/// More may be sent.
pub const WINDOW_UPDATE: u8 = 8;
/// More of the headers.
pub const CONTINUATION: u8 = 9;

/// Of [`DATA`] and [`HEADERS`]: nothing of this stream follows.
pub const END_STREAM: u8 = 1;
/// Of [`SETTINGS`] and [`PING`]: an answer.
pub const ACK: u8 = 1;
/// Of [`HEADERS`] and [`CONTINUATION`]: the headers are whole.
pub const END_HEADERS: u8 = 4;

impl Http2 {
    /// Begins a connection, on which each response may have `window` bytes before more is granted.
    ///
    /// # Errors
    ///
    /// If the server takes nothing.
    pub fn begin(stream: TcpStream, window: u32) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Self::begin_on(stream, window)
    }

    /// How long [`next_frame`](Http2::next_frame) waits, instead of thirty seconds.
    ///
    /// # Panics
    ///
    /// If it is no time at all.
    pub fn set_read_timeout(&mut self, timeout: Duration) {
        let set = self.stream.set_read_timeout(Some(timeout));
        set.expect("a time that is not zero");
    }
}

impl<S: Read + Write> Http2<S> {
    /// The same on any stream, such as one within TLS.
    ///
    /// # Errors
    ///
    /// If the server takes nothing.
    pub fn begin_on(mut stream: S, window: u32) -> io::Result<Self> {
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        let mut http2 = Self { stream };
        // SETTINGS_INITIAL_WINDOW_SIZE
        let mut settings = vec![0, 4];
        settings.extend(window.to_be_bytes());
        http2.send(SETTINGS, 0, 0, &settings)?;
        Ok(http2)
    }

    /// Asks for `path`, with a body to come if the method is not `GET`.
    ///
    /// # Errors
    ///
    /// If the server takes nothing.
    pub fn ask(&mut self, stream: u32, method: &str, path: &str) -> io::Result<()> {
        let flags = match method {
            "GET" => END_HEADERS | END_STREAM,
            _ => END_HEADERS,
        };
        self.send(HEADERS, flags, stream, &headers(method, path))
    }

    /// Sends a frame as it is.
    ///
    /// # Errors
    ///
    /// If the server takes nothing.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).expect("a short payload");
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.stream.write_all(&frame)
    }

    /// The next frame. Pings and settings are answered, and passed on.
    ///
    /// # Errors
    ///
    /// If the server ends the connection, which is an end of file, or says nothing for thirty seconds.
    pub fn next_frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.stream.read_exact(&mut payload)?;
        let frame = Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        };
        match (frame.kind, frame.flags & ACK) {
            (SETTINGS, 0) => self.send(SETTINGS, ACK, 0, &[])?,
            (PING, 0) => self.send(PING, ACK, 0, &frame.payload)?,
            _ => {}
        }
        Ok(frame)
    }

    /// The next frame that is of this kind. None if the connection ends without one.
    pub fn next_of(&mut self, kind: u8) -> Option<Frame> {
        while let Ok(frame) = self.next_frame() {
            if frame.kind == kind {
                return Some(frame);
            }
        }
        None
    }

    /// Reads until the server ends the connection, and says how many bytes of bodies came.
    pub fn read_to_end(&mut self) -> usize {
        let mut bytes = 0;
        while let Ok(frame) = self.next_frame() {
            if frame.kind == DATA {
                bytes += frame.payload.len();
            }
        }
        bytes
    }
}

/// The headers of a request, uncompressed (RFC 7541, sections 6.1 and 6.2.2).
pub fn headers(method: &str, path: &str) -> Vec<u8> {
    // `:method` of the static table, `:scheme: http`.
    let mut block = vec![if method == "GET" { 0x82 } else { 0x83 }, 0x86];
    // `:path` and `:authority` by name, each with a value of its own.
    for (name, value) in [(0x04, path), (0x01, "x")] {
        block.push(name);
        block.push(u8::try_from(value.len()).expect("a short value"));
        block.extend(value.as_bytes());
    }
    block
}
