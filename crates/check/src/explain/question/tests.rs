//! Destinations as people write them, and what they are read as.

use super::*;

#[test]
fn a_destination_is_read_as_people_write_it() {
    for (text, expected) in [
        ("tcp://10.0.0.5:5432", Ok("tcp://10.0.0.5:5432")),
        ("TCP://[::1]:53/", Ok("tcp://[::1]:53")),
        ("udp://Example.COM.:53", Ok("udp://example.com:53")),
        (
            "https://api.example.com/a/b?c#d",
            Ok("https://api.example.com:443"),
        ),
        ("http://[2001:db8::1]:8080/", Ok("http://[2001:db8::1]:8080")),
        ("redis://cache", Ok("redis://cache:6379")),
        ("http://example.com:/", Ok("http://example.com:80")),
        ("tcp://example.com:", Err("`tcp://example.com:` needs a port")),
        ("example.com", Ok("example.com")),
        ("key-value:default", Ok("key-value:default")),
        ("sqlite:my_orders", Ok("sqlite:my_orders")),
        ("llm:llama2-chat", Ok("llm:llama2-chat")),
        ("llm:org/model:7b", Ok("llm:org/model:7b")),
        ("sqlite:", Err("`sqlite:` needs a label: write `sqlite:default`")),
        ("sqlite.example.com", Ok("sqlite.example.com")),
        (
            "kv:default",
            Err("`kv:default` is no destination: write `tcp://HOST:PORT`, `udp://HOST:PORT`, a URL"),
        ),
        ("redis:default", Err("`redis:default` is no destination")),
        ("redis:6379", Err("`redis:6379` needs a protocol")),
        ("tcp://127.1:80", Ok("tcp://127.0.0.1:80")),
        ("10.0.0.5", Err("`10.0.0.5:PORT` needs a protocol")),
        (
            "db.example.com:5432",
            Err("`db.example.com:5432` needs a protocol"),
        ),
        ("tcp://db.example.com", Err("`tcp://db.example.com` needs a port")),
        ("tcp://db.example.com:0", Err("`0` is not a port")),
        ("tcp://db.example.com:99999", Err("`99999` is not a port")),
        ("h2://db.example.com:1", Err("`h2` is not a protocol")),
        (
            "https://user:pw@host/x",
            Err(
                "the URL of a request with a user in it is refused whatever the policy says: ask about \
                 `https://host`",
            ),
        ),
        ("redis://user:pw@localhost/0", Ok("redis://localhost:6379")),
        (
            "host=db.example.com password=hunter2",
            Err("keys and values are no destination"),
        ),
        (
            "redis://:hunter2@a@b",
            Err("what stands before the host is understood in two ways"),
        ),
        (
            "postgres://u:p@db.example.com:1/x?y",
            Ok("postgres://db.example.com:1"),
        ),
        ("tcp://10.0.0.0/8:80", Err("`10.0.0.0/8` is a network")),
        ("https://10.0.0.0/8", Err("`10.0.0.0/8` is a network")),
        ("10.0.0.0/8", Err("`10.0.0.0/8` is a network")),
        ("tcp://[2001:db8::]/32:80", Err("`[2001:db8::]/32` is a network")),
        ("http://10.0.0.1/8a", Ok("http://10.0.0.1:80")),
        (
            "tcp://2001:db8::1:80",
            Err("an IPv6 address needs brackets: write `tcp://[2001:db8::1]:80`"),
        ),
        (
            "http://::1/",
            Err("an IPv6 address needs brackets: write `http://[::1]`"),
        ),
        ("2001:db8::1", Err("`[2001:db8::1]:PORT` needs a protocol")),
        (
            "tcp://db.example.com:5432/x",
            Err("a socket has no path: ask about `tcp://db.example.com:5432`"),
        ),
        ("https:///a", Ok("https://self:443")),
        ("http://:80/a", Ok("http://self:80")),
        ("/a/b?c", Ok("http://self:80")),
        ("http://self.alt/", Ok("http://self.alt:80")),
        ("tcp://:80", Err("`` is not a host")),
        ("tls://Shop.Example.:443", Ok("tls://shop.example:443")),
        ("TLS://[2001:db8::1]:443/", Ok("tls://[2001:db8::1]:443")),
        ("tls://:443", Ok("tls://:443")),
        ("tls://shop.example", Err("`tls://shop.example` needs a port")),
        ("tls://", Err("`tls://` needs a port")),
        ("tls://*.shop.example:443", Err("`*.shop.example` is not a host")),
        (
            "tls://shop.example:443/x",
            Err("a socket has no path: ask about `tls://shop.example:443`"),
        ),
        ("tls://10.0.0.0/8:443", Err("`10.0.0.0/8` is a network")),
        (
            "tcp://u:pw@db.example.com",
            Err("`tcp://****@db.example.com` needs a port"),
        ),
        (
            "u:pw@db.example.com:5432",
            Err("`****@db.example.com:5432` needs a protocol"),
        ),
        ("u:pw@db.example.com", Err("`****@db.example.com` is not a host")),
    ] {
        match (text.parse::<Question>(), expected) {
            (Ok(question), Ok(shown)) => assert_eq!(question.to_string(), shown, "{text}"),
            (Err(error), Err(message)) => {
                assert!(error.to_string().starts_with(message), "{text}: {error}")
            }
            (found, _) => panic!("{text}: {found:?}"),
        }
    }
}
