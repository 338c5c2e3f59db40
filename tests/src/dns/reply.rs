//! What the server says to one query.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// One scripted reply. Built from what it answers with, then bent: `Reply::addresses(["10.0.0.5"]).ttl(0)`.
///
/// The default time to live is 0 seconds, so that nobody caches an answer by accident.
#[derive(Clone, Debug)]
pub struct Reply {
    code: ResponseCode,
    chain: Vec<Name>,
    addresses: Vec<IpAddr>,
    strays: Vec<(Name, IpAddr)>,
    owner: Option<Name>,
    ttl: u32,
    size: Size,
    wrong_id: bool,
    question: Option<Name>,
    garbage: Option<Vec<u8>>,
    pub(super) delay: Duration,
    pub(super) fate: Fate,
}

/// What becomes of a reply that is sent in a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// Cut, with the TC bit, if it is longer than the resolver takes.
    Cut,
    /// Cut, with the TC bit, however short it is.
    AlwaysCut,
    /// Sent whole, however long it is.
    Whole,
}

/// What becomes of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Sent,
    Unsent,
    /// The server closes its sockets instead of answering.
    ServerDies,
}

impl Reply {
    /// These addresses. A query for A gets the IPv4 ones, a query for AAAA the IPv6 ones.
    ///
    /// # Panics
    ///
    /// If one of them is not an IP address.
    pub fn addresses<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            addresses: addresses.into_iter().map(ip).collect(),
            ..Self::with_code(ResponseCode::NoError)
        }
    }

    /// `count` different IPv4 addresses, the first of which is 10.0.0.1.
    pub fn many_addresses(count: u16) -> Self {
        let first = u32::from_be_bytes([10, 0, 0, 1]);
        let addresses = (0..u32::from(count)).map(|offset| IpAddr::from((first + offset).to_be_bytes()));
        Self {
            addresses: addresses.collect(),
            ..Self::with_code(ResponseCode::NoError)
        }
    }

    /// `CNAME` records from the name that was asked for through each of `names`, and nothing more: the resolver
    /// has to ask for the last one itself.
    pub fn alias<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::nodata().via(names)
    }

    /// Two `CNAME` records that lead from the name to `other` and back.
    pub fn alias_loop(asked: &str, other: &str) -> Self {
        Self::alias([other, asked])
    }

    /// `NOERROR` without an address.
    pub fn nodata() -> Self {
        Self::with_code(ResponseCode::NoError)
    }

    /// `NXDOMAIN`.
    pub fn nxdomain() -> Self {
        Self::with_code(ResponseCode::NXDomain)
    }

    /// `SERVFAIL`.
    pub fn servfail() -> Self {
        Self::with_code(ResponseCode::ServFail)
    }

    /// `REFUSED`.
    pub fn refused() -> Self {
        Self::with_code(ResponseCode::Refused)
    }

    /// The id of the query, and these bytes after it.
    pub fn garbage(bytes: &[u8]) -> Self {
        Self {
            garbage: Some(bytes.to_vec()),
            ..Self::nodata()
        }
    }

    /// No answer at all.
    pub fn silence() -> Self {
        Self {
            fate: Fate::Unsent,
            ..Self::nodata()
        }
    }

    /// The server is gone before it answers.
    pub fn death() -> Self {
        Self {
            fate: Fate::ServerDies,
            ..Self::nodata()
        }
    }

    fn with_code(code: ResponseCode) -> Self {
        Self {
            code,
            chain: Vec::new(),
            addresses: Vec::new(),
            strays: Vec::new(),
            owner: None,
            ttl: 0,
            size: Size::Cut,
            wrong_id: false,
            question: None,
            garbage: None,
            delay: Duration::ZERO,
            fate: Fate::Sent,
        }
    }

    /// Time to live of every record, in seconds.
    pub fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = seconds;
        self
    }

    /// Puts a chain of `CNAME`s before the addresses: the last of `names` owns them.
    pub fn via<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.chain = names.into_iter().map(name).collect();
        self
    }

    /// The addresses belong to `owner`, which nobody asked for.
    pub fn owned_by(mut self, owner: &str) -> Self {
        self.owner = Some(name(owner));
        self
    }

    /// Adds an address of another name to the answer section.
    pub fn with_stray(mut self, owner: &str, address: &str) -> Self {
        self.strays.push((name(owner), ip(address)));
        self
    }

    /// Waits before answering.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Over UDP an empty answer with the TC bit; over TCP the whole one.
    pub fn truncated(mut self) -> Self {
        self.size = Size::AlwaysCut;
        self
    }

    /// Over UDP whole, although the resolver said that it takes no message of such a length.
    pub fn oversized(mut self) -> Self {
        self.size = Size::Whole;
        self
    }

    /// Says that the question was for `name`. The addresses are still those of the name that was asked for.
    pub fn to_the_question(mut self, question: &str) -> Self {
        self.question = Some(name(question));
        self
    }

    /// Answers with another message id than the query's.
    pub fn wrong_id(mut self) -> Self {
        self.wrong_id = true;
        self
    }

    /// The message to send. `limit` is how many bytes the transport takes; a longer one is cut as real servers
    /// do, with the TC bit.
    pub(super) fn message(&self, query: &Message, limit: Option<usize>) -> Vec<u8> {
        if let Some(garbage) = &self.garbage {
            let id = query.metadata.id.to_be_bytes();
            return id.iter().chain(garbage).copied().collect();
        }
        let mut message = self.answer_to(query);
        if self.wrong_id {
            message.metadata.id = message.metadata.id.wrapping_add(1);
        }
        let whole = encode(&message);
        match (limit, self.size) {
            (Some(_), Size::AlwaysCut) => encode(&message.truncate()),
            (Some(limit), Size::Cut) if whole.len() > limit => encode(&message.truncate()),
            _ => whole,
        }
    }

    fn answer_to(&self, query: &Message) -> Message {
        let mut message = Message::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
        message.metadata.recursion_desired = query.metadata.recursion_desired;
        message.metadata.recursion_available = true;
        message.metadata.response_code = self.code;
        message.add_queries(query.queries.iter().cloned().map(|mut question| {
            if let Some(name) = &self.question {
                question.set_name(name.clone());
            }
            question
        }));
        if query.edns.is_some() {
            message.set_edns(Edns::new());
        }
        if let Some(question) = query.queries.first() {
            message.add_answers(self.answers(&question.name, question.query_type));
            if message.answers.is_empty() {
                message.add_authority(self.start_of_authority());
            }
        }
        message
    }

    fn answers(&self, asked: &Name, record_type: RecordType) -> Vec<Record> {
        let mut records = Vec::new();
        let mut owner = asked.clone();
        for target in &self.chain {
            records.push(Record::from_rdata(
                owner,
                self.ttl,
                RData::CNAME(CNAME(target.clone())),
            ));
            owner = target.clone();
        }
        let owner = self.owner.clone().unwrap_or(owner);
        let own = self.addresses.iter().map(|address| (&owner, address));
        let strays = self.strays.iter().map(|(owner, address)| (owner, address));
        records.extend(own.chain(strays).filter_map(|(owner, address)| {
            let data = match (address, record_type) {
                (IpAddr::V4(v4), RecordType::A) => RData::A(A(*v4)),
                (IpAddr::V6(v6), RecordType::AAAA) => RData::AAAA(AAAA(*v6)),
                _ => return None,
            };
            Some(Record::from_rdata(owner.clone(), self.ttl, data))
        }));
        records
    }

    /// Negative answers carry it, so that resolvers know how long to believe them (RFC 2308).
    fn start_of_authority(&self) -> Record {
        let soa = SOA::new(
            name("ns.test"),
            name("hostmaster.test"),
            1,
            3600,
            600,
            86400,
            self.ttl,
        );
        Record::from_rdata(name("test"), self.ttl, RData::SOA(soa))
    }
}

/// A name of any bytes: what a hostile server may send is not what a library likes to read.
fn name(text: &str) -> Name {
    let labels = text.trim_end_matches('.').split('.').map(str::as_bytes);
    Name::from_labels(labels).unwrap_or_else(|error| panic!("`{text}` in a DNS script: {error}"))
}

fn ip(text: &str) -> IpAddr {
    text.parse()
        .unwrap_or_else(|_| panic!("`{text}` in a DNS script is not an address"))
}

fn encode(message: &Message) -> Vec<u8> {
    message
        .to_vec()
        .expect("a scripted answer fits into a DNS message")
}
