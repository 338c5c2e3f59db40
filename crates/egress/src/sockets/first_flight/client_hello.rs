//! The names of servers in a ClientHello (RFC 8446 §4.1.2, RFC 6066 §3).
//!
//! What comes in are its records, whole or cut; what comes out is every name that a server could find in it, as bytes, and
//! whether it is well-formed. A length that says more than there is counts as what there is: servers differ in how much they
//! forgive, and a name is not to be out of sight because of an odd byte elsewhere.

/// What a ClientHello says of its server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ClientHello {
    /// The names as they stand there, at most [`MOST_NAMES`].
    pub(super) names: Vec<Vec<u8>>,
    /// A client that keeps to the RFCs does not write it so.
    pub(super) is_malformed: bool,
    /// There are more names than are taken.
    pub(super) has_more: bool,
    /// There are bytes that were not read, or too few of them: a server that goes on elsewhere may find another name.
    pub(super) is_unread: bool,
    /// It offers TLS 1.3, where another one may follow.
    pub(super) may_repeat: bool,
}

impl ClientHello {
    /// Reads the records that one is in.
    pub(super) fn read(records: &[u8]) -> Self {
        // The hello of SSL 2 has neither records nor names.
        if records.first().is_some_and(|first| first & 0x80 != 0) {
            return Self::default();
        }
        let message = content(records);
        let mut hello = Self::default();
        let mut all = Fields::of(&message);
        all.fixed(1);
        let mut body = Fields::of(all.variable(3));
        hello.body(&mut body);
        // What stands behind the message in its last record is no part of it.
        hello.is_unread |= all.is_short || body.is_short;
        hello.is_malformed |= hello.is_unread;
        hello
    }

    fn body(&mut self, body: &mut Fields<'_>) {
        // Version and random.
        body.fixed(2 + 32);
        let session = body.variable(1);
        let suites = body.variable(2);
        let compression = body.variable(1);
        self.is_malformed |= session.len() > 32 || suites.is_empty() || compression.is_empty();
        if body.is_at_end() {
            return;
        }
        let mut extensions = Fields::of(body.variable(2));
        self.is_unread |= !body.is_at_end();
        let mut is_named = false;
        while !extensions.is_at_end() {
            let kind = extensions.fixed(2);
            let data = extensions.variable(2);
            if kind == SERVER_NAME {
                self.is_malformed |= is_named;
                is_named = true;
                self.server_name(&mut Fields::of(data));
            }
            self.may_repeat |= kind == SUPPORTED_VERSIONS;
        }
        self.is_unread |= extensions.is_short;
    }

    /// Reads the extension, which is a list of names, one for each type, of which there is one.
    fn server_name(&mut self, data: &mut Fields<'_>) {
        let mut list = Fields::of(data.variable(2));
        let mut names = 0;
        while !list.is_at_end() {
            let kind = list.fixed(1);
            let name = list.variable(2);
            names += 1;
            self.is_malformed |= kind != HOST_NAME || name.is_empty();
            if self.names.len() == MOST_NAMES {
                self.has_more = true;
            } else if !name.is_empty() {
                self.names.push(name.to_vec());
            }
        }
        self.is_malformed |= names != 1;
        // An extension without content names nobody; servers that asked for no name answer so.
        let is_empty = names == 0 && data.is_at_end();
        self.is_unread |= !is_empty && (!data.is_at_end() || data.is_short || list.is_short);
    }
}

/// What handshake records carry. Others, which servers read past, stand between them.
fn content(records: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut rest = Fields::of(records);
    while !rest.is_at_end() {
        let kind = rest.fixed(1);
        rest.fixed(2);
        let carried = rest.variable(2);
        if kind == HANDSHAKE {
            content.extend_from_slice(carried);
        }
    }
    content
}

/// Bytes that are read field by field. A field that says more than there is has what there is.
struct Fields<'a> {
    rest: &'a [u8],
    is_short: bool,
}

impl<'a> Fields<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            is_short: false,
        }
    }

    fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn fixed(&mut self, length: usize) -> &'a [u8] {
        self.is_short |= length > self.rest.len();
        let (field, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        field
    }

    /// A field with its length before it, in so many bytes.
    fn variable(&mut self, width: usize) -> &'a [u8] {
        let length = self.fixed(width);
        let length = length.iter().fold(0, |all, byte| all << 8 | usize::from(*byte));
        self.fixed(length)
    }
}

/// The type of a record that carries the handshake.
const HANDSHAKE: &[u8] = &[22];

/// The extension that a ClientHello of TLS 1.3 has (RFC 8446 §4.2.1).
const SUPPORTED_VERSIONS: &[u8] = &[0, 43];

/// The extension, and the type of name that there is.
const SERVER_NAME: &[u8] = &[0, 0];
const HOST_NAME: &[u8] = &[0];

/// Names that are taken of one ClientHello. It may have one.
pub(super) const MOST_NAMES: usize = 16;
