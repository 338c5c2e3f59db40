//! `allowed_http_hosts`, the list that `allowed_outbound_hosts` took the place of. It is read as Spin reads it:
//!
//! | item | entries |
//! | --- | --- |
//! | `example.com`, `example.com:8080`, with or without `http://` or `https://` in front | `http://…` and `https://…`, on that port |
//! | `self` | `http://self` |
//! | `insecure:allow-all` | `http://*:*` and `https://*:*`, whatever else is in the list; the first is for `self` too |
//!
//! A port that is the usual one of the scheme that stands in front counts as none, as in a URL. What is not a host is a
//! mistake, as is one with a path.

use outport_policy::{Entry, text};

use crate::reading::entries::OutboundEntry;
use crate::reading::fields::Node;
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::report::remark::Remark;
use crate::source::Located;

/// Reads the list as entries of `allowed_outbound_hosts`, and answers how many of its items are none besides. Each has
/// the place of the item that it was made of.
pub(crate) fn read_http_hosts(found: &mut Findings, node: Node<'_>) -> (Vec<OutboundEntry>, usize) {
    let hosts = node.strings(found);
    let written = node.written_items();
    if hosts.is_empty() {
        return (Vec::new(), written);
    }
    let everything = hosts.iter().position(|host| host.value == EVERYTHING);
    let read: Vec<Option<Vec<String>>> = match everything {
        Some(first) => (0..hosts.len())
            .map(|number| {
                if number == first {
                    Some(["http://*:*", "https://*:*"].map(str::to_owned).into())
                } else {
                    Some(Vec::new())
                }
            })
            .collect(),
        None => hosts.iter().map(|host| entries_of(found, host)).collect(),
    };
    let left_out = match everything {
        Some(_) => 0,
        None => written.saturating_sub(read.iter().flatten().count()),
    };
    let made = hosts.iter().zip(&read).flat_map(|(host, texts)| {
        let location = found.source().location(&host.span);
        let texts = texts.iter().flatten();
        texts.map(move |text| (text, host.span.clone(), location.clone()))
    });
    let entries = made.filter_map(|(text, span, location)| {
        let entry = Entry::parse(text, location).ok()?;
        Some(OutboundEntry::converted(Located::new(text.clone(), span), entry))
    });
    let entries: Vec<OutboundEntry> = entries.collect();
    let all_strings = hosts.len() == written;
    let complete: Option<Vec<Vec<String>>> = read.into_iter().collect();
    let complete = complete.filter(|_| all_strings);
    found.remark(&node.span(), Remark::AllowedHttpHosts { entries: complete });
    (entries, left_out)
}

/// The entries that one host stands for; none if it is not a host, which is reported.
fn entries_of(found: &mut Findings, written: &Located<String>) -> Option<Vec<String>> {
    if written.value == "self" {
        return Some(vec!["http://self".to_owned()]);
    }
    let location = found.source().location(&written.span);
    let entries =
        host_of(&written.value).map(|host| ["http", "https"].map(|scheme| format!("{scheme}://{host}")));
    match entries {
        Some(entries)
            if entries
                .iter()
                .all(|entry| Entry::parse(entry, location.clone()).is_ok()) =>
        {
            Some(entries.into())
        }
        _ => {
            let help = "write a host, with or without a port, such as `example.com:8080`; \
                        `allowed_outbound_hosts` takes more";
            found.report(
                &written.span,
                Mistake::Value {
                    key: "allowed_http_hosts".into(),
                    wrong: format!("cannot have `{}`", text::quote(&written.value)),
                    help: Some(help.into()),
                },
            );
            None
        }
    }
}

/// The host and the port of an item, without what a URL may leave out.
fn host_of(text: &str) -> Option<&str> {
    let (host, usual_port) = match text.split_once("//") {
        None => (text, ":80"),
        Some(("http:", host)) => (host, ":80"),
        Some(("https:", host)) => (host, ":443"),
        Some(_) => return None,
    };
    let host = host.strip_suffix('/').unwrap_or(host);
    let host = host.strip_suffix(usual_port).unwrap_or(host);
    // Wildcards, networks and templates are of the newer list alone.
    (!host.contains(['*', '/', '{', '@', '?', '#'])).then_some(host)
}

const EVERYTHING: &str = "insecure:allow-all";
