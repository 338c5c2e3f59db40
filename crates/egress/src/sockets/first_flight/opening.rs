//! How a guest opens a connection: is it with a ClientHello, and where does that end?
//!
//! ```text
//! Start ─ 00 ▶ Request: a request of PostgreSQL for TLS ── passes ▶ Start
//!       ─ 14, 15 ▶ Notice: a record that servers read past ── passes ▶ Start
//!       ─ 16 ▶ Records: handshake records, kept ─┬─ the ClientHello is whole ▶ Whole
//!                                                ├─ it cannot become one any more ▶ Malformed
//!                                                └─ 16 KiB, or 32 KiB with its records ▶ TooLong
//!       ─ 17, 18 ▶ Malformed
//!       ─ 80…ff ▶ Old: the hello of SSL 2, which has no name; kept where that matters
//!       ─ anything else ▶ Over; behind a notice Malformed
//! ```
//!
//! What comes in are the bytes as they are written, in pieces of any size; what comes out is how many of them are of no
//! ClientHello and pass, and whether the others are kept. The first byte that a ClientHello cannot have there ends it.
//! What is in it is read elsewhere, once.
//!
//! Servers read past alerts and changes of cipher, before a ClientHello and between its records, and past records without
//! content; some take any version of a record. So does this, and it has no opinion of its own on what else they read past:
//! what began with the type of a record of TLS and is given up is never Over, but a ClientHello that nobody has read.
//!
//! Behind a whole ClientHello one more may follow, which answers a HelloRetryRequest (RFC 8446 §4.1.4). There it is the other
//! way round: until a handshake message says that it is one, giving up is Over.

/// How far an opening was read. It is copied to look ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    state: State,
    /// It has begun like TLS, and does not end as anything else.
    is_tls: bool,
    /// A ClientHello was there before.
    is_second: bool,
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
    Request { seen: usize, length: usize },
    Notice { header: Header, left: usize },
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
    /// A ClientHello was there before.
    is_second: bool,
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
            is_tls: false,
            is_second: false,
            nameless,
        }
    }

    /// What follows a ClientHello, and may be another one.
    pub(super) fn second() -> Self {
        Self {
            is_second: true,
            ..Self::new(Nameless::Passes)
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
                    None => return self.give_up(looked, is_passing),
                }
            }
            let before = looked;
            let (taken, seen) = match &mut self.state {
                State::Records(records) => records.take(&bytes[looked..]),
                _ => self.step(&bytes[looked..]),
            };
            looked += taken;
            match seen {
                Seen::Passing => is_passing = true,
                Seen::Kept => {}
                // What passed is noted apart; what was kept goes with what tells that it is none.
                Seen::Over if matches!(self.state, State::Records(_) | State::Old { .. }) => {
                    return self.give_up(looked, is_passing);
                }
                Seen::Over => return self.give_up(before, is_passing),
                over => return (looked, over),
            }
        }
        (looked, if is_passing { Seen::Passing } else { Seen::Kept })
    }

    /// What becomes of bytes that can belong to no ClientHello, behind so many that can.
    fn give_up(&self, looked: usize, is_passing: bool) -> (usize, Seen) {
        match (self.is_tls, is_passing) {
            (false, _) => (0, Seen::Over),
            (true, true) if looked > 0 => (looked, Seen::Passing),
            (true, _) => (looked, Seen::Malformed),
        }
    }

    /// True if what was kept has begun a ClientHello, which it cannot have without its type.
    pub(super) fn is_hello(&self) -> bool {
        matches!(self.state, State::Records(Records { length: 1.., .. }))
    }

    /// The state for what begins with `byte`, if a ClientHello may begin so, or may follow it.
    fn start(&mut self, byte: u8) -> Option<State> {
        self.is_tls |= !self.is_second && matches!(byte, CHANGE_CIPHER_SPEC..=LAST_TYPE);
        let is_first = !self.is_second && !self.is_tls;
        match byte {
            HANDSHAKE => Some(State::Records(Records {
                is_second: self.is_second,
                ..Records::default()
            })),
            CHANGE_CIPHER_SPEC | ALERT => Some(State::Notice {
                header: Header::default(),
                left: 0,
            }),
            0 if is_first => Some(State::Request { seen: 0, length: 0 }),
            0x80.. if is_first && self.nameless == Nameless::Kept => Some(State::Old {
                seen: 0,
                is_two: false,
            }),
            _ => None,
        }
    }

    /// Goes on by some of `bytes`, of anything but handshake records, and says by how many.
    fn step(&mut self, bytes: &[u8]) -> (usize, Seen) {
        let Some(&byte) = bytes.first() else {
            return (0, Seen::Kept);
        };
        let (taken, seen, is_done) = match &mut self.state {
            State::Request { seen, length } => request(seen, length, bytes),
            State::Notice { header, left } => notice(header, left, bytes),
            State::Old { seen, is_two } => {
                *is_two |= *seen == 3 && byte == 0;
                let expected = match *seen {
                    2 => byte == CLIENT_HELLO,
                    3 => byte == 3 || byte == 0,
                    4 => !*is_two || byte == 2,
                    _ => true,
                };
                *seen += 1;
                // Its type tells it from what merely begins so.
                self.is_tls |= *seen >= 3 && (*seen > 3 || expected);
                match *seen {
                    _ if !expected => (1, Seen::Over, false),
                    5 => (1, Seen::Whole, false),
                    _ => (1, Seen::Kept, false),
                }
            }
            State::Start | State::Records(_) => (1, Seen::Over, false),
        };
        if is_done {
            self.state = State::Start;
        }
        (taken, seen)
    }
}

/// Goes on in a request of PostgreSQL: its length, its code, and whatever is behind that.
fn request(seen: &mut usize, length: &mut usize, bytes: &[u8]) -> (usize, Seen, bool) {
    let taken = match *seen {
        0..8 => 1,
        _ => bytes.len().min(*length - *seen),
    };
    let byte = bytes[0];
    let expected = match *seen {
        0..4 => {
            *length = *length << 8 | usize::from(byte);
            *length <= MOST_REQUEST && (*seen < 3 || *length >= 8)
        }
        // As long as it is one of both.
        4..7 => byte == REQUESTS[0][*seen - 4],
        7 => REQUESTS.iter().any(|code| code[3] == byte),
        _ => true,
    };
    *seen += taken;
    let seen_all = *seen >= 8 && *seen == *length;
    (taken, if expected { Seen::Passing } else { Seen::Over }, seen_all)
}

/// Goes on in a record that servers read past.
fn notice(header: &mut Header, left: &mut usize, bytes: &[u8]) -> (usize, Seen, bool) {
    if header.seen == 5 {
        let taken = bytes.len().min(*left);
        *left -= taken;
        return (taken, Seen::Passing, *left == 0);
    }
    match header.take(bytes[0]) {
        Some(length) if length > MOST_RECORD => (1, Seen::Over, false),
        Some(length) => {
            *left = length;
            (1, Seen::Passing, length == 0)
        }
        None => (1, Seen::Passing, false),
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
        if !is_known || length.is_some_and(|length| length > MOST_RECORD) {
            return otherwise;
        }
        self.left = length.unwrap_or(0);
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
            // What was encrypted with TLS 1.2 stands in such records, too, and no server takes as long a ClientHello.
            4.. if self.is_second && self.said() > MOST_OF_ANY_SERVER => Seen::Over,
            4.. if self.said() > MOST_HELLO => Seen::TooLong,
            4.. if self.length == 4 + self.said() => Seen::Whole,
            _ => Seen::Kept,
        };
        (some, seen)
    }

    /// The number of bytes after which something more is known of the message.
    fn missing(&self) -> usize {
        match self.length {
            0 => 1,
            1..4 => 4 - self.length,
            _ => 4 + self.said() - self.length,
        }
    }

    /// The length of the message, as it says.
    fn said(&self) -> usize {
        let [_, high, middle, low] = self.message;
        usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
    }
}

/// Types of records (RFC 8446 §5.1, RFC 6520 §6), and of the message (§4).
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const LAST_TYPE: u8 = 24;
const CLIENT_HELLO: u8 = 1;

/// The codes of what a client of PostgreSQL asks before TLS: `SSLRequest`, and `GSSENCRequest`, which is followed by the other
/// one where the server does not have it ("Message Formats" in its manual).
const REQUESTS: [[u8; 4]; 2] = [[0x04, 0xd2, 0x16, 0x2f], [0x04, 0xd2, 0x16, 0x30]];

/// Bytes of a request that its server reads, of which it looks at the code (`MAX_STARTUP_PACKET_LENGTH`).
const MOST_REQUEST: usize = 10_000;

/// Bytes of a ClientHello that is looked at (TLS-2).
pub(super) const MOST_HELLO: usize = 16 * 1024;

/// Bytes of it with the headers of its records.
pub(super) const MOST_RECORDS: usize = 32 * 1024;

/// Bytes of a ClientHello that servers take at most (`CLIENT_HELLO_MAX_LENGTH` of OpenSSL).
const MOST_OF_ANY_SERVER: usize = 131_396;

/// Bytes of a record that a server takes: 2¹⁴, and what encryption may add (RFC 8446 §5.2, RFC 5246 §6.2.3).
const MOST_RECORD: usize = 16 * 1024 + 2048;
