//! Lines of JSON: an object for each request, with all that is known of it. `docs/schema/access-log.json` describes them.

use std::borrow::Cow;
use std::net::IpAddr;

use outport_egress::Timestamp;
use outport_egress::line_log::json_line;
use serde::Serialize;

use super::entry::Entry;

/// As every line begins.
pub(super) const BEGINS: &[u8] = b"{\"time\":";

/// A line of JSON. Bytes of a client that are no UTF-8 are replacement characters there.
pub(super) fn line(entry: &Entry<'_>) -> Option<String> {
    let text = |value: &Option<Cow<'_, [u8]>>| {
        let value = value.as_deref()?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    json_line(&Object {
        time: entry.began.into(),
        client: entry.client.ip(),
        client_port: entry.client.port(),
        method: String::from_utf8_lossy(&entry.method),
        target: String::from_utf8_lossy(&entry.target),
        protocol: entry.protocol,
        scheme: entry.scheme,
        host: text(&entry.host),
        status: entry.status,
        sent: entry.sent,
        received: entry.received,
        duration_ms: entry.duration.as_micros() as f64 / 1000.0,
        complete: entry.complete,
        component: entry.component,
        route: entry.route,
        referer: text(&entry.referer),
        user_agent: text(&entry.user_agent),
        trace_id: entry.trace_id.map(|id| format!("{id:032x}")),
        sampled: entry.trace_id.map(|_| entry.is_sampled),
    })
}

/// The members of a line. What is not there has no member.
#[derive(Serialize)]
struct Object<'a> {
    time: Timestamp,
    client: IpAddr,
    client_port: u16,
    method: Cow<'a, str>,
    target: Cow<'a, str>,
    protocol: &'static str,
    scheme: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    status: u16,
    sent: u64,
    received: u64,
    duration_ms: f64,
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sampled: Option<bool>,
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::entry::tests::entry;
    use super::*;

    #[test]
    fn a_line_has_all_that_is_known_and_nothing_of_what_is_not() {
        let whole = line(&entry()).unwrap();
        assert!(whole.as_bytes().starts_with(BEGINS), "{whole}");
        assert_eq!(
            whole,
            "{\"time\":\"2026-03-01T09:30:00.125Z\",\"client\":\"127.0.0.1\",\"client_port\":40000,\
             \"method\":\"GET\",\"target\":\"/a/b?c=d\",\"protocol\":\"HTTP/1.1\",\"scheme\":\"http\",\"host\":\"example.com:3000\",\
             \"status\":200,\"sent\":1234,\"received\":5,\"duration_ms\":12.345,\"complete\":true,\
             \"component\":\"web\",\"route\":\"/a/...\",\"referer\":\"http://example.com/\",\
             \"user_agent\":\"curl/8.5.0\",\"trace_id\":\"af7651f0000000000000000000000001\",\"sampled\":true}"
        );
        let mut bare = entry();
        (bare.host, bare.referer, bare.user_agent) = (None, None, None);
        (bare.component, bare.route, bare.trace_id) = (None, None, None);
        let bare = line(&bare).unwrap();
        assert!(bare.ends_with("\"complete\":true}"), "{bare}");
    }

    // proves: RSN-4
    #[test]
    fn whatever_a_client_wrote_is_one_value_and_does_nothing_to_a_terminal() {
        for value in [
            "a\",\"status\":500,\"x\":\"",
            "x\r\n{\"time\":",
            "\u{1b}[2J\u{9b}",
            "größe",
            "\u{202e}",
        ] {
            let mut hostile = entry();
            hostile.target = Cow::Borrowed(value.as_bytes());
            hostile.user_agent = Some(Cow::Borrowed(value.as_bytes()));
            let line = line(&hostile).unwrap();
            assert!(
                !line.contains(|c: char| c.is_control() || c == '\u{202e}'),
                "{line:?}"
            );
            let read: Value = serde_json::from_str(&line).unwrap();
            assert_eq!((&read["target"], &read["status"]), (&value.into(), &200.into()));
            assert_eq!(read["user_agent"], value);
        }
        let mut bytes = entry();
        bytes.referer = Some(Cow::Borrowed(b"a\xffb"));
        let read: Value = serde_json::from_str(&line(&bytes).unwrap()).unwrap();
        assert_eq!(read["referer"], "a\u{fffd}b");
    }
}
