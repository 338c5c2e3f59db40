//! What begins like TLS and is read otherwise by a server than here, and what follows a ClientHello.

use super::*;

/// What comes of `opening` in this mode, with a name on the deny list for every port, or for another one alone: true if it
/// passes, and what was logged.
async fn outcome(mode: TlsNames, denied: &str, opening: &[u8], piece: usize) -> (bool, Vec<String>) {
    let scene = Scene::new(mode, SHOP, &[denied]);
    let (_socket, mut sending, mut peer) = scene.connect().await;
    let written = write(&mut sending, opening, piece).await;
    drop(sending);
    let mut read = Vec::new();
    let end = peer.read_to_end(&mut read);
    if written.is_ok() && end.is_ok() {
        assert!(read == opening, "{opening:02x?}");
        (true, scene.denials())
    } else {
        (false, scene.denials())
    }
}

const NAMES: &str = "*://*.bad.example:*";
const OTHERS: &str = "*://bad.example:1";

// proves: TLS-2, TLS-3
#[test]
fn what_began_like_tls_is_not_over() {
    for (bytes, passed, kept) in [
        (&b"\x17\x03\x03\x00\x10"[..], 0, 0),
        (b"\x18", 0, 0),
        // A record that is too long, a message that is none, another record before there is a message.
        (b"\x16\x03\x01\xff\xff\x01", 0, 5),
        (b"\x16\x03\x01\x00\x05\x02", 0, 6),
        (b"\x16\x03\x01\x00\x00\x17", 0, 6),
        (b"\x15\x03\x01\xff\xff", 4, 0),
        (b"\x15\x03\x01\x00\x02\x01\x5aGET", 7, 0),
        (b"\x14\x03\x01\x00\x00\x00\x00\x00\x08", 5, 0),
        (b"\x14\x03\x01\x00\x00\x80\x2e\x01", 5, 0),
    ] {
        let looked = look(Nameless::Passes, bytes, &[1]);
        let expected = Looked {
            passed,
            kept,
            seen: Seen::Malformed,
        };
        assert_eq!(looked, expected, "{bytes:02x?}");
        assert_eq!(
            look(Nameless::Kept, bytes, &[usize::MAX]),
            expected,
            "{bytes:02x?}"
        );
    }
}

// proves: TLS-2, TLS-3
#[tokio::test]
async fn what_nobody_has_read_is_refused_where_it_could_be_a_denied_name() {
    let with = |name: &[u8]| record(&message(&[server_name(name)]));
    // The same, whose extensions say that they are shorter, or the message is longer, than it is.
    let content = message(&[extension(43, &[2, 3, 4]), server_name(b"a.bad.example")]);
    let at = content.len() - 2 - 7 - server_name(b"a.bad.example").len();
    let mut behind = content.clone();
    behind[at..at + 2].copy_from_slice(&[0, 7]);
    let mut short = content;
    short[at + 1] += 9;
    let label = "x".repeat(64);
    let long = format!("{}bad.example", "x.".repeat(130));
    for opening in [
        b"\x17\x03\x03\x00\x10".to_vec(),
        b"\x16\x03\x01\xff\xff\x01".to_vec(),
        record(&behind),
        record(&short),
        with(b"xn--a.bad.example"),
        with(format!("{label}.bad.example").as_bytes()),
        with(long.as_bytes()),
        with(b"\xff.bad.example"),
        with("\u{200d}.bad.example".as_bytes()),
        with(b"a.bad.example\xff"),
        with(b"other.example:443"),
    ] {
        for piece in [1, usize::MAX] {
            let (passes, denials) = outcome(TlsNames::Denied, NAMES, &opening, piece).await;
            assert!(!passes, "{opening:02x?}");
            assert!(denials[0].ends_with(" deny.tls-name"), "{denials:?}");
            let (passes, denials) = outcome(TlsNames::Denied, OTHERS, &opening, piece).await;
            assert!(passes && denials.is_empty(), "{opening:02x?}: {denials:?}");
            let (passes, denials) = outcome(TlsNames::Allowed, OTHERS, &opening, piece).await;
            assert!(!passes, "{opening:02x?}");
            assert!(denials[0].ends_with(" allow.tls-name"), "{denials:?}");
        }
    }
    // What is read, and is no denied name, passes as it did.
    for opening in [
        with(b""),
        hello_without_name(),
        record(&message(&[extension(0, &[])])),
        record(&message(&[server_name(b"a.example"), server_name(b"b.example")])),
        [&[20, 3, 1, 0, 0][..], &hello("other.example")].concat(),
    ] {
        let (passes, denials) = outcome(TlsNames::Denied, NAMES, &opening, 1).await;
        assert!(passes && denials.is_empty(), "{opening:02x?}: {denials:?}");
    }
}

// proves: TLS-3, RSN-2, RSN-4
#[tokio::test]
async fn a_malformed_name_is_told_as_it_was_written_and_makes_up_no_entry() {
    for (name, shown) in [
        (&b"other.example:443"[..], "other.example:443"),
        (b"31mx?!\x1b.example", "31mx?!\\u{1b}.example"),
    ] {
        let scene = Scene::new(TlsNames::Allowed, SHOP, &[OTHERS]);
        let (_socket, mut sending, _peer) = scene.connect().await;
        let opening = record(&message(&[server_name(name)]));
        assert!(write(&mut sending, &opening, usize::MAX).await.is_err());
        let events = scene.world.events.drain();
        let denied = events.iter().find(|event| event.attempt == "tls.hello").unwrap();
        assert_eq!(denied.name.as_deref(), Some(shown));
        let remedy = denied.remedy.as_deref().unwrap();
        assert!(!remedy.contains("://"), "{remedy}");
    }
    // An address in the place of a name is told, and no entry for it.
    let scene = Scene::new(TlsNames::Allowed, SHOP, &[OTHERS]);
    let (_socket, mut sending, _peer) = scene.connect().await;
    assert!(
        write(&mut sending, &hello("192.0.2.7"), usize::MAX)
            .await
            .is_err()
    );
    let events = scene.world.events.drain();
    let denied = events.iter().find(|event| event.attempt == "tls.hello").unwrap();
    assert_eq!(denied.name.as_deref(), Some("192.0.2.7"));
    assert!(!denied.remedy.as_deref().unwrap().contains("://"));
}

// proves: TLS-1, TLS-2
#[tokio::test]
async fn a_second_client_hello_is_judged_like_the_first() {
    let first = hello("other.example");
    let bad = hello("a.bad.example");
    // Its record is cut in two.
    let (head, rest) = bad[5..].split_at(1);
    let in_two = [record(head), record(rest)].concat();
    let resumed = [&CHANGE[..], &[22, 3, 3, 0, 40, 1, 0x7f], &[9; 38]].concat();
    for (what, second, passes) in [
        ("a denied name", bad.clone(), false),
        ("behind a change", [&CHANGE[..], &bad].concat(), false),
        ("in two records", in_two, false),
        (
            "another name",
            [&first[..], b"\x17\x03\x03\x00\x01x"].concat(),
            true,
        ),
        (
            "encrypted",
            [&CHANGE[..], b"\x17\x03\x03\x00\x01", &bad].concat(),
            true,
        ),
        (
            "another message",
            b"\x16\x03\x03\x00\x05\x10\x00\x00\x01\x01".to_vec(),
            true,
        ),
        ("TLS 1.2 goes on", resumed, true),
        ("no TLS", b"PING".to_vec(), true),
    ] {
        for piece in [1, 5, usize::MAX] {
            let scene = Scene::new(TlsNames::Denied, SHOP, &[NAMES]);
            let (_socket, mut sending, mut peer) = scene.connect().await;
            write(&mut sending, &first, piece).await.unwrap();
            let mut read = vec![0; first.len()];
            peer.read_exact(&mut read).unwrap();
            assert!(read == first, "{what}: the first one does not wait");
            let written = write(&mut sending, &second, piece).await;
            assert_eq!(written.is_ok(), passes, "{what} in pieces of {piece}");
            if passes {
                assert!(sending.first.is_none(), "{what}: it is over");
                let mut read = vec![0; second.len()];
                peer.read_exact(&mut read).unwrap();
                assert!(read == second, "{what}");
            } else {
                assert_eq!(scene.denials(), ["a.bad.example deny.tls-name"], "{what}");
                let mut read = Vec::new();
                let _ = peer.read_to_end(&mut read);
                assert!(read.len() <= CHANGE.len(), "{what}: {read:02x?}");
            }
        }
    }
}
