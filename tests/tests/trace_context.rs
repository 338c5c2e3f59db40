//! The trace that a client's request is part of goes on in what its guest sends, though nothing is exported.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use outport_e2e::http::{self, Origin};
use outport_e2e::outport::{Outport, Running};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// An app whose guest may send requests to `origin`, and to another one that may.
fn app(guest: &str, origin: &Origin) -> Running {
    let at = origin.address();
    Outport::up(&format!(
        "spin_manifest_version = 2\napplication.name = \"traced\"\n\
         [[trigger.http]]\nroute = \"/...\"\ncomponent = \"it\"\n\
         [[trigger.http]]\nroute = {{ private = true }}\ncomponent = \"back\"\n\
         [component.it]\nsource = \"GUESTS/{guest}.wasm\"\n\
         allowed_outbound_hosts = [\"http://{at}\", \"http://back.spin.internal\"]\n\
         [component.back]\nsource = \"GUESTS/http-script-guest.wasm\"\n\
         allowed_outbound_hosts = [\"http://{at}\"]\n"
    ))
    .start()
}

/// Asks with these headers, and has what the origin was asked because of it.
fn asked(app: &Running, origin: &Origin, path: &str, headers: &str) -> Vec<(Option<String>, Option<String>)> {
    let before = origin.requests().len();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}Connection: close\r\n\r\n",
        app.address()
    );
    let response = http::send(app.address(), &request).unwrap();
    assert!(
        (200..300).contains(&response.status),
        "{path}: {}\n{app}",
        response.body
    );
    let requests = origin.requests().split_off(before);
    let value = |request: &http::Request, name| {
        let mut values = request.headers.iter().filter(|(own, _)| own == name);
        let value = values.next().map(|(_, value)| value.clone());
        assert_eq!(values.next(), None, "{path}: {name} is there once");
        value
    };
    let contexts = requests
        .iter()
        .map(|request| (value(request, "traceparent"), value(request, "tracestate")));
    contexts.collect()
}

/// A statement as the query of a URL.
fn in_query(statement: &str) -> String {
    statement.replace('%', "%25").replace(' ', "%20")
}

#[test]
fn whatever_way_a_guest_sends_a_request_it_is_part_of_the_trace_of_the_client() {
    let origin = Origin::start("origin");
    let at = origin.address();
    let get = in_query(&format!("http.text GET http://{at}/"));
    let chained = in_query(&format!("http.text GET http://back.spin.internal/x?{get}"));
    let guests = format!("00-{}-{}-00", "4".repeat(32), "7".repeat(16));
    let own = in_query(&format!("http.text GET http://{at}/ traceparent={guests}"));
    let brought = format!("traceparent: {PARENT}\r\ntracestate: a=1,b=2\r\n");
    let part = (Some(PARENT.to_owned()), Some("a=1,b=2".to_owned()));
    let none = "traceparent: 00-none\r\ntracestate: a=1\r\n";
    let guests = (Some(guests), None);
    for (guest, path, expected) in [
        ("http-script-guest", format!("/?{get}"), &part),
        ("http-script-guest", format!("/?{chained}"), &part),
        ("http-script-guest", format!("/?{own}"), &guests),
        ("http-script-guest-p3", format!("/?{get}"), &part),
        ("http-script-guest-p3", format!("/?{chained}"), &part),
        ("http-script-guest-p3", format!("/?{own}"), &guests),
        ("wasi-2023-10", format!("/send?http://{at}/"), &part),
        ("wasi-2023-11", format!("/send?{at}"), &part),
        ("spin-rust-1", format!("/send?http://{at}/"), &part),
    ] {
        let app = app(guest, &origin);
        let told = asked(&app, &origin, &path, &brought);
        assert_eq!(told, std::slice::from_ref(expected), "{guest}: {path}");
        // What a client brings that is none, or nothing at all, changes nothing of what the guest says.
        for headers in [none, ""] {
            let alone = if *expected == guests {
                guests.clone()
            } else {
                (None, None)
            };
            let told = asked(&app, &origin, &path, headers);
            assert_eq!(told, [alone], "{guest}: {path}: {headers}");
        }
        let finished = app.stop();
        assert!(finished.reasons().is_empty(), "{finished}");
    }
}
