//! What is counted and traced of guests, and the trace context that their requests have.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use outport_egress::meter::Meter;
use outport_egress::trace::{Trace, TraceContext};
use outport_policy::Operator;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tracing::Span;

use crate::counted::Counted;
use crate::script_guest::{VERSIONS, gate, run_script, run_script_opened};
use crate::servers::{HttpServer, https};
use crate::traced::Traced;
use crate::world::{builder, default_egress};

fn brought(sampled: bool) -> TraceContext {
    TraceContext {
        trace_id: 5,
        parent_id: 9,
        sampled,
        state: Some(HeaderValue::from_static("a=b")),
    }
}

const OWN: &str = "00-00000000000000000000000000000042-0000000000000077-01";

#[tokio::test]
async fn a_request_takes_the_context_along_that_the_client_brought() {
    let server = HttpServer::start().await;
    let allowed = [format!("http://127.0.0.1:{}", server.port())];
    let text = format!("http.text GET http://127.0.0.1:{}/trace", server.port());
    let own = format!("{text} traceparent={OWN}");
    let wrong = format!("{text} traceparent=00-what tracestate=x=y");
    let script = [&*text, &text, &own, &wrong];
    for version in VERSIONS {
        let (egress, _) = default_egress();
        let gate = gate(&egress, &[&allowed[0]]);
        for sampled in [true, false] {
            let opened = gate.open();
            opened
                .trace()
                .set(Trace::begin(None, Some(brought(sampled)), Span::none));
            let results = run_script_opened(version, opened, &script).await;
            let passed_on = format!("200 {} a=b", brought(sampled));
            let guests = format!("200 {OWN} -");
            assert_eq!(
                results,
                [&*passed_on, &passed_on, &guests, &passed_on],
                "WASI {version}"
            );
        }
        // Where nobody brought any, the guest's headers are the guest's.
        let results = run_script_opened(version, gate.open(), &script).await;
        let guests = format!("200 {OWN} -");
        assert_eq!(
            results,
            ["200 - -", "200 - -", &guests, "200 00-what x=y"],
            "WASI {version}"
        );
    }
    assert!(server.accepted() < 12, "connections are used again");
}

#[tokio::test]
async fn a_request_that_is_recorded_is_a_span_which_its_server_is_below() {
    let server = HttpServer::start().await;
    let port = server.port();
    let allowed = format!("http://127.0.0.1:{port}");
    let text = format!("http.text GET {allowed}/trace");
    let own = format!("{text} traceparent={OWN}");
    let missing = format!("http PROPFIND {allowed}/");
    let denied = "http GET http://127.0.0.2:9/";
    for version in VERSIONS {
        let traced = Traced::default();
        let _listening = traced.listen();
        let (egress, _) = default_egress();
        let opened = gate(&egress, &[&allowed]).open();
        opened.trace().set(traced.request());
        let script = [&*text, &own, &missing, denied];
        let results = run_script_opened(version, opened, &script).await;
        let sent: Vec<u64> = results[..2]
            .iter()
            .map(|said| {
                let parent = said.strip_prefix("200 ").and_then(|said| said.split(' ').next());
                let context = TraceContext::parse(parent.unwrap()).unwrap();
                assert!(context.sampled);
                context.parent_id
            })
            .collect();
        let all = traced.all();
        let requests: Vec<_> = all.iter().filter(|(name, _)| name == "GET").collect();
        assert_eq!(requests.len(), 2, "WASI {version}: {:?}", traced.names());
        for (id, (parent, (_, span))) in sent.iter().zip([1, 0x77].iter().zip(requests)) {
            assert_eq!(span.parent, Some(*parent), "WASI {version}");
            assert!(*id != 1 && *id != 0x77, "WASI {version}: {id}");
            for (field, value) in [
                ("http.request.method", "GET"),
                ("http.response.status_code", "200"),
                ("url.scheme", "http"),
                ("server.address", "127.0.0.1"),
                ("server.port", &port.to_string()),
                ("otel.kind", "client"),
                ("otel.status_code", ""),
                ("outport.component", "script-guest"),
            ] {
                assert_eq!(span.field(field), value, "WASI {version}: {field}");
            }
            assert!(span.field("outport.rule").contains(&allowed));
            assert!(span.is_closed(), "WASI {version}");
        }
        // One connection, which is made below the first request, and a method that not everybody knows.
        let dial = traced.only("http.dial");
        assert_eq!(dial.parent, Some(sent[0]), "WASI {version}");
        assert_eq!(
            traced.only("HTTP").field("http.request.method"),
            "_OTHER",
            "WASI {version}"
        );
        let denied = traced.only("http.request");
        assert_eq!(
            denied.field("outport.reason"),
            "runtime.loopback-port",
            "WASI {version}"
        );
    }
}

#[tokio::test]
async fn http_2_and_the_app_itself_have_the_context_too() {
    use futures::FutureExt;
    use futures::future::BoxFuture;
    use outport_egress::{Internal, InternalDestination, TlsProfile};
    use outport_policy::Host;
    use wasmtime_wasi_http::{Error, WasiBody};

    struct App;

    impl Internal for App {
        fn call(
            &self,
            _: InternalDestination,
            _: u32,
            request: http::Request<WasiBody>,
        ) -> BoxFuture<'static, Result<http::Response<WasiBody>, Error>> {
            let parent = TraceContext::from_headers(request.headers());
            let status = if parent == Some(brought(true)) { 201 } else { 500 };
            let mut answer = http::Response::new(request.into_body());
            *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
            std::future::ready(Ok(answer)).boxed()
        }
    }

    let server = https().await;
    let port = server.address.port();
    let allowed = format!("https://host.example:{port}");
    let profile = TlsProfile::builder(vec![Host::parse("host.example").unwrap()])
        .roots_pem(server.certificate.as_bytes())
        .unwrap()
        .build()
        .map(Arc::new)
        .unwrap();
    let text = format!("http.text GET {allowed}/trace");
    let script = [
        &*text,
        "http GET http://self/",
        "http GET http://back.spin.internal/",
    ];
    for version in VERSIONS {
        let (egress, _) = default_egress();
        let gate = gate(&egress, &[&allowed, "http://self", "http://back.spin.internal"]);
        let gate = gate.with_tls(vec![profile.clone()]);
        gate.set_internal(Arc::new(App));
        let opened = gate.open();
        opened
            .trace()
            .set(Trace::begin(None, Some(brought(true)), Span::none));
        let results = run_script_opened(version, opened, &script).await;
        let passed_on = format!("200 {} a=b", brought(true));
        assert_eq!(results, [&*passed_on, "201", "201"], "WASI {version}");
    }
}

#[tokio::test]
async fn what_is_counted_of_guests_is_what_their_peer_saw() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Takes a connection, all that comes on it, and sends ten bytes back.
    let peer = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Ok(Ok((mut stream, _))) =
            tokio::time::timeout(Duration::from_secs(5), listener.accept()).await
        {
            let mut read = [0; 5];
            stream.read_exact(&mut read).await.unwrap();
            stream.write_all(b"0123456789").await.unwrap();
            let mut rest = Vec::new();
            let rest = stream.read_to_end(&mut rest).await.unwrap_or_default();
            seen.push((5 + rest, 10));
            if seen.len() == 4 {
                break;
            }
        }
        seen
    });
    let connect = format!("tcp.connect {address} as a");
    let again = format!("tcp.connect {address} as b");
    let script = [
        &*connect,
        "tcp.send a hello",
        "tcp.recv a",
        "drop a",
        &again,
        "tcp.send b hello",
        "tcp.recv b",
        "drop b",
        "tcp.connect 127.0.0.1:22",
    ];
    let counted = Counted::default();
    for version in VERSIONS {
        let egress = builder()
            .operator(Operator::default())
            .meter(Meter::new(Arc::new(counted.clone())))
            .build()
            .unwrap();
        let allowed = format!("*://{address}");
        let results = run_script(version, &egress, &[&allowed], &script).await;
        assert_eq!(results[8], "access-denied", "WASI {version}: {results:?}");
    }
    let seen = peer.await.unwrap();
    assert_eq!(seen.len(), 4);
    let sums = seen
        .iter()
        .fold((0, 0), |sums, one| (sums.0 + one.0, sums.1 + one.1));
    let value = |name: &str, labels: &str| {
        let series = format!("outport_{name}{{script-guest,{labels}}}");
        counted
            .value(&series)
            .unwrap_or_else(|| panic!("{series}: {:?}", counted.series()))
    };
    assert_eq!(
        value("connection_sent_bytes_total", "tcp.connect"),
        f64::from(sums.0 as u32)
    );
    assert_eq!(
        value("connection_received_bytes_total", "tcp.connect"),
        f64::from(sums.1 as u32)
    );
    assert_eq!(value("connections_total", "tcp.connect,succeeded"), 4.0);
    assert_eq!(value("connections_total", "tcp.connect,failed"), 0.0);
    assert_eq!(value("connections_open", "tcp.connect"), 0.0);
    assert_eq!(value("connection_duration_seconds", "tcp.connect"), 4.0);
    assert_eq!(
        value("attempts_total", "tcp.connect,deny,runtime.loopback-port"),
        2.0
    );
}
