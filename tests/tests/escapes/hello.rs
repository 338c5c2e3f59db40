//! ClientHellos as the table writes them, and what becomes of them in statements of a guest.
//!
//! | written | for |
//! | --- | --- |
//! | `{hello bad.test}` | a ClientHello of TLS 1.3 that names this server |
//! | `{hello}` | one that names none |
//! | `{hello bad.test, two records}` | the same in two records |
//! | `{hello bad.test, encrypted}` | the same with an encrypted ClientHello beside the name |
//! | `one by one STATEMENT` | the statement for each byte of what it sends, each but the last with `ok` |

use super::table::Step;

/// Puts bytes, as scripts have them, in the place of each ClientHello of a text.
pub(crate) fn written_out(text: &str) -> String {
    let Some((before, rest)) = text.split_once("{hello") else {
        return text.to_owned();
    };
    let (what, behind) = rest.split_once('}').expect("a closing bracket");
    let bytes = match what.trim().split_once(", ") {
        None => hello(what.trim(), &[]),
        Some((name, "encrypted")) => hello(name, &extension(0xfe0d, &encrypted())),
        Some((name, "two records")) => in_two_records(&hello(name, &[])),
        Some((_, other)) => panic!("no ClientHello is `{other}`"),
    };
    let bytes: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    format!("{before}{bytes}{}", written_out(behind))
}

/// The steps of a step: many of one whose bytes are sent one by one.
pub(crate) fn one_by_one(step: Step) -> Vec<Step> {
    let Step::Does {
        statement,
        result,
        reasons,
    } = step
    else {
        return vec![step];
    };
    let Some(statement) = statement.strip_prefix("one by one ") else {
        return vec![Step::Does {
            statement,
            result,
            reasons,
        }];
    };
    let (verb, bytes) = statement.rsplit_once(' ').expect("what is sent");
    let bytes: Vec<&str> = bytes.split("\\x").skip(1).collect();
    let sends = bytes.iter().enumerate().map(|(index, byte)| {
        let is_last = index + 1 == bytes.len();
        Step::Does {
            statement: format!("{verb} \\x{byte}"),
            result: if is_last { result.clone() } else { "ok".to_owned() },
            reasons: if is_last { reasons.clone() } else { Vec::new() },
        }
    });
    sends.collect()
}

fn hello(name: &str, extensions: &[u8]) -> Vec<u8> {
    // TLS 1.3 alone, ECDSA with SHA-256, and X25519, for which the server has to ask.
    let versions = extension(43, &[2, 3, 4]);
    let signatures = extension(13, &[0, 2, 4, 3]);
    let keys = [extension(10, &[0, 2, 0, 29]), extension(51, &[0, 0])].concat();
    let server = match name {
        "" => Vec::new(),
        name => extension(
            0,
            &with_length(&[&[0][..], &with_length(name.as_bytes())].concat()),
        ),
    };
    let extensions = with_length(&[&versions, &signatures, &keys, &server, extensions].concat());
    let random = [0x5a; 32];
    // No session, TLS_AES_128_GCM_SHA256, no compression.
    let body = [&[3, 3][..], &random, &[0, 0, 2, 0x13, 1, 1, 0], &extensions].concat();
    let message = [&[1, 0][..], &with_length(&body)].concat();
    record(&message)
}

/// An encrypted ClientHello (RFC 9849, 5): an outer one, HKDF and AES-128-GCM, a key, and what nobody can read.
fn encrypted() -> Vec<u8> {
    let [key, inner] = [&[0x5a; 32][..], &[0x5a; 64]].map(with_length);
    [&[0, 0, 1, 0, 1, 7][..], &key, &inner].concat()
}

fn in_two_records(hello: &[u8]) -> Vec<u8> {
    let (first, rest) = hello[5..].split_at(20);
    [record(first), record(rest)].concat()
}

fn record(content: &[u8]) -> Vec<u8> {
    [&[22, 3, 1][..], &with_length(content)].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &with_length(content)].concat()
}

/// Behind their number, in two bytes.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a short text");
    [&length.to_be_bytes()[..], bytes].concat()
}

#[test]
fn a_client_hello_is_one_to_who_reads_it() {
    for text in ["bad.test", "bad.test, two records", "bad.test, encrypted", ""] {
        let written = written_out(&format!("tcp.send c {{hello {text}}} => ok"));
        let (_, bytes) = written.split_once("tcp.send c ").expect("the statement");
        let bytes: Vec<u8> = bytes
            .trim_end_matches(" => ok")
            .split("\\x")
            .skip(1)
            .map(|byte| u8::from_str_radix(byte, 16).expect("a byte"))
            .collect();
        let mut acceptor = rustls::server::Acceptor::default();
        acceptor.read_tls(&mut &bytes[..]).expect("bytes");
        let accepted = acceptor.accept().expect("a ClientHello").expect("all of it");
        let name = accepted.client_hello().server_name().map(str::to_owned);
        assert_eq!(name, (!text.is_empty()).then(|| "bad.test".to_owned()), "{text}");
    }
    let step = Step::Does {
        statement: "one by one tcp.send c \\x16\\x03".to_owned(),
        result: "closed".to_owned(),
        reasons: vec!["deny.tls-name".to_owned()],
    };
    let steps = one_by_one(step);
    assert_eq!(steps.len(), 2);
    assert!(matches!(&steps[0], Step::Does { statement, result, reasons }
        if statement == "tcp.send c \\x16" && result == "ok" && reasons.is_empty()));
    assert!(matches!(&steps[1], Step::Does { statement, result, reasons }
        if statement == "tcp.send c \\x03" && result == "closed" && reasons == &["deny.tls-name"]));
}
