//! How a guest opens a connection: is it with a ClientHello, and where does that end?
//!
//! ```text
//! Start ─ 00 ▶ Request: a request of PostgreSQL for TLS, 8 bytes ── passes ▶ Start
//!       ─ 14, 15 ▶ Notice: a short record that servers read past ── passes ▶ Start
//!       ─ 16 ▶ Records: handshake records, kept ─┬─ the ClientHello is whole ▶ Whole
//!                                                ├─ it cannot become one any more ▶ Malformed, or Over
//!                                                └─ 16 KiB, or 32 KiB with its records ▶ TooLong
//!       ─ 80…83 ▶ Old: the hello of SSL 2, which has no name; kept where that matters
//!       ─ anything else ▶ Over
//! ```
//!
//! What comes in are the bytes as they are written, in pieces of any size; what comes out is how many of them are of no
//! ClientHello and pass, and whether the others are kept. The first byte that a ClientHello cannot have there ends it.
//! What is in it is read elsewhere, once.
//!
//! Servers read past an alert that only warns, and past a change of cipher, before a ClientHello and between its records;
//! past records without content, too; and none of them minds the version of a record. So does this.

/// How far an opening was read. It is copied to look ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    state: State,
    /// Requests and notices that have passed.
    passed: u32,
    /// Whether a hello that cannot have a name is looked for.
    nameless: Nameless,
}

/// Whether the hello of SSL 2 is looked for, which has no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nameless {
    Kept,
    Passes,
}

/// What the bytes are that were looked at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Of no ClientHello; one may follow.
    Passing,
    /// Of no ClientHello, and with what was kept before they never become one.
    Over,
    /// Of what may become one.
    Kept,
    /// The last ones of a ClientHello.
    Whole,
    /// Of one that is malformed.
    Malformed,
    /// Of one that is longer than what is looked at.
    TooLong,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Start,
    Request { seen: usize },
    Notice { header: Header },
    Records(Records),
    Old { seen: usize, is_two: bool },
}

/// Handshake records, as far as they were read.
#[derive(Clone, Copy, Debug, Default)]
struct Records {
    header: Header,
    /// Bytes that are left of the record.
    left: usize,
    /// The first bytes of the message: its type and its length.
    message: [u8; 4],
    /// Bytes of the message.
    length: usize,
    /// Bytes in all.
    all: usize,
}

/// The header of a record, as far as it was read: its type, its version, and the length of what follows.
#[derive(Clone, Copy, Debug, Default)]
struct Header {
    bytes: [u8; 5],
    seen: usize,
}

impl Opening {
    pub(super) fn new(nameless: Nameless) -> Self {
        Self {
            state: State::Start,
            passed: 0,
            nameless,
        }
    }

    /// Looks at `bytes`, and says what the first ones are, and how many. All of those pass, or all of those are kept; for
    /// [`Seen::Over`] that is none of them.
    pub(super) fn look(&mut self, bytes: &[u8]) -> (usize, Seen) {
        let mut looked = 0;
        let mut is_passing = false;
        while let Some(&byte) = bytes.get(looked) {
            if matches!(self.state, State::Start) {
                match self.start(byte) {
                    // What has passed goes on by itself; what is kept begins with its own first byte.
                    Some(state @ (State::Records(_) | State::Old { .. })) if !is_passing => {
                        self.state = state
                    }
                    Some(State::Records(_) | State::Old { .. }) => return (looked, Seen::Passing),
                    Some(state) => self.state = state,
                    None => return (0, Seen::Over),
                }
            }
            let seen = match &mut self.state {
                State::Records(records) => {
                    let (taken, seen) = records.take(&bytes[looked..]);
                    looked += taken;
                    seen
                }
                _ => {
                    looked += 1;
                    self.step(byte)
                }
            };
            match seen {
                Seen::Passing => is_passing = true,
                Seen::Kept => {}
                Seen::Over => return (0, Seen::Over),
                over => return (looked, over),
            }
        }
        (looked, if is_passing { Seen::Passing } else { Seen::Kept })
    }

    /// True if what was kept has begun a ClientHello, which it cannot have without its type.
    pub(super) fn is_hello(&self) -> bool {
        matches!(self.state, State::Records(Records { length: 1.., .. }))
    }

    /// The state for what begins with `byte`, if a ClientHello may begin so, or may follow it.
    fn start(&self, byte: u8) -> Option<State> {
        let may_pass = self.passed < MOST_PASSED;
        match byte {
            HANDSHAKE => Some(State::Records(Records::default())),
            0 if may_pass => Some(State::Request { seen: 0 }),
            CHANGE_CIPHER_SPEC | ALERT if may_pass => Some(State::Notice {
                header: Header::default(),
            }),
            0x80..=0x83 if self.nameless == Nameless::Kept => Some(State::Old {
                seen: 0,
                is_two: false,
            }),
            _ => None,
        }
    }

    /// Goes on by one byte, of anything but handshake records.
    fn step(&mut self, byte: u8) -> Seen {
        let (seen, is_done) = match &mut self.state {
            State::Request { seen } => {
                let expected = REQUESTS.iter().any(|request| request[*seen] == byte);
                *seen += 1;
                (
                    if expected { Seen::Passing } else { Seen::Over },
                    *seen == REQUEST,
                )
            }
            State::Notice { header } => header.notice(byte),
            State::Old { seen, is_two } => {
                *is_two |= *seen == 3 && byte == 0;
                let expected = match *seen {
                    2 => byte == CLIENT_HELLO,
                    3 => byte == 3 || byte == 0,
                    4 => !*is_two || byte == 2,
                    _ => true,
                };
                *seen += 1;
                match *seen {
                    _ if !expected => (Seen::Over, false),
                    5 => (Seen::Whole, false),
                    _ => (Seen::Kept, false),
                }
            }
            State::Start | State::Records(_) => (Seen::Over, false),
        };
        if is_done {
            self.state = State::Start;
            self.passed += 1;
        }
        seen
    }
}

impl Header {
    /// Takes one byte of it; the length of what follows, once it is whole.
    fn take(&mut self, byte: u8) -> Option<usize> {
        if let Some(place) = self.bytes.get_mut(self.seen) {
            *place = byte;
        }
        self.seen += 1;
        (self.seen == 5).then(|| usize::from(u16::from_be_bytes([self.bytes[3], self.bytes[4]])))
    }

    /// False if no server takes the version, whatever it is.
    fn may_be_tls(&self) -> bool {
        self.seen < 2 || self.bytes[1] < 0x10
    }

    /// The length that a record of this type has, if servers read past it.
    fn length_of_notice(&self) -> Option<usize> {
        match self.bytes[0] {
            CHANGE_CIPHER_SPEC => Some(1),
            ALERT => Some(2),
            _ => None,
        }
    }

    /// Goes on by one byte of a record that servers read past; true at its end.
    fn notice(&mut self, byte: u8) -> (Seen, bool) {
        let length = self.take(byte);
        let expected = self.length_of_notice();
        if !self.may_be_tls() || length.is_some_and(|length| Some(length) != expected) {
            return (Seen::Over, false);
        }
        (
            Seen::Passing,
            expected.is_some_and(|expected| self.seen == 5 + expected),
        )
    }
}

impl Records {
    /// Takes as many of `bytes` as belong to it.
    fn take(&mut self, bytes: &[u8]) -> (usize, Seen) {
        let mut taken = 0;
        while taken < bytes.len() {
            if self.all == MOST_RECORDS {
                return (taken, Seen::TooLong);
            }
            let (some, seen) = if self.left == 0 {
                (1, self.take_header(bytes[taken]))
            } else {
                self.take_content(&bytes[taken..])
            };
            taken += some;
            self.all += some;
            if seen != Seen::Kept {
                return (taken, seen);
            }
        }
        (taken, Seen::Kept)
    }

    fn take_header(&mut self, byte: u8) -> Seen {
        // Without a byte of the message it is nothing yet, and afterwards nothing else any more.
        let otherwise = if self.length == 0 {
            Seen::Over
        } else {
            Seen::Malformed
        };
        if self.header.seen >= 5 {
            self.header = Header::default();
        }
        let length = self.header.take(byte);
        let is_known = match self.header.bytes[0] {
            HANDSHAKE => true,
            CHANGE_CIPHER_SPEC | ALERT => self.all > 0,
            _ => false,
        };
        if !is_known || !self.header.may_be_tls() {
            return otherwise;
        }
        if let Some(length) = length {
            let is_notice = self.header.length_of_notice().is_some_and(|own| own != length);
            if length > MOST_RECORD || is_notice {
                return otherwise;
            }
            self.left = length;
        }
        Seen::Kept
    }

    /// Takes of the content of a record; of the message in it, if it has some.
    fn take_content(&mut self, bytes: &[u8]) -> (usize, Seen) {
        let room = self.left.min(MOST_RECORDS - self.all).min(bytes.len());
        if self.header.bytes[0] != HANDSHAKE {
            self.left -= room;
            return (room, Seen::Kept);
        }
        let missing = self.missing();
        let some = room.min(missing);
        for (place, byte) in self.message.iter_mut().skip(self.length).zip(&bytes[..some]) {
            *place = *byte;
        }
        self.length += some;
        self.left -= some;
        if self.message[0] != CLIENT_HELLO {
            return (some, Seen::Over);
        }
        let seen = match self.length {
            4.. if self.said() > MOST_HELLO => Seen::TooLong,
            4.. if self.length == 4 + self.said() => Seen::Whole,
            _ => Seen::Kept,
        };
        (some, seen)
    }

    /// The number of bytes after which something more is known of the message.
    fn missing(&self) -> usize {
        match self.length {
            0..4 => 4 - self.length,
            _ => 4 + self.said() - self.length,
        }
    }

    /// The length of the message, as it says.
    fn said(&self) -> usize {
        let [_, high, middle, low] = self.message;
        usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
    }
}

/// Types of records (RFC 8446 §5.1), and of the message (§4).
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// What a client of PostgreSQL asks before TLS: `SSLRequest`, and `GSSENCRequest`, which is followed by the other one where
/// the server does not have it ("Message Formats" in its manual).
const REQUESTS: [[u8; REQUEST]; 2] = [
    [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f],
    [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30],
];
const REQUEST: usize = 8;

/// Requests and notices that are read past: no server bears more notices (`maxUselessRecords` of Go is 16).
const MOST_PASSED: u32 = 32;

/// Bytes of a ClientHello that is looked at (TLS-2).
pub(super) const MOST_HELLO: usize = 16 * 1024;

/// Bytes of it with the headers of its records.
pub(super) const MOST_RECORDS: usize = 32 * 1024;

/// Bytes of a record that a server takes: 2¹⁴, and what encryption may add (RFC 8446 §5.2, RFC 5246 §6.2.3).
const MOST_RECORD: usize = 16 * 1024 + 2048;
