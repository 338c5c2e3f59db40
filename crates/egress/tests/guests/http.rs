//! Outgoing HTTP.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use outport_egress::{Internal, InternalDestination, TlsProfile};
use outport_policy::Host;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::script_guest::{ScriptGuest, VERSIONS, gate, run_script, run_script_through};
use crate::servers::{HttpServer, HttpsServer, closed_port, https};
use crate::world::{builder, default_egress, denying, egress};

// proves: AL-6, RSN-3, DNS-13
#[tokio::test]
async fn a_request_is_judged_by_host_port_and_method() {
    let server = HttpServer::start().await;
    let (port, closed) = (server.port(), closed_port().await.port());
    let allowed = [
        format!("http://127.0.0.1:{port}"),
        format!("http://host.example:{port}"),
        format!("https://other.example:{port}"),
    ];
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    let rows = [
        (format!("http GET http://127.0.0.1:{port}/"), "200"),
        (format!("http GET http://0x7f.1:{port}/"), "200"),
        (format!("http GET http://HOST.Example.:{port}/"), "200"),
        (
            format!("http CONNECT http://127.0.0.1:{port}/"),
            "HTTP-request-denied",
        ),
        (
            format!("http GET http://127.0.0.1:{closed}/"),
            "HTTP-request-denied",
        ),
        (
            format!("http GET http://127.0.0.2:{port}/"),
            "HTTP-request-denied",
        ),
        ("http GET http://host.example/".to_owned(), "HTTP-request-denied"),
        (
            format!("http GET http://other.example:{port}/"),
            "HTTP-request-denied",
        ),
        (
            "http GET http://127.0.0.1:22/".to_owned(),
            "destination-IP-prohibited",
        ),
        (
            "http GET http://169.254.169.254/".to_owned(),
            "destination-IP-prohibited",
        ),
    ];
    for version in VERSIONS {
        let (egress, events) = default_egress();
        let statements: Vec<&str> = rows.iter().map(|(statement, _)| statement.as_str()).collect();
        let results = run_script(version, &egress, &allowed, &statements).await;
        for ((statement, expected), result) in rows.iter().zip(&results) {
            assert_eq!(result, expected, "{statement} on WASI {version}");
        }
        assert_eq!(
            events.denials(),
            [
                "http.request http.connect-method",
                "http.request allow.port",
                "http.request allow.no-match",
                "http.request allow.port",
                "http.request allow.scheme",
                "http.request runtime.loopback-port",
                "http.request runtime.link-local",
            ],
            "WASI {version}"
        );
    }
}

// proves: DNS-13, DNS-9
#[tokio::test]
async fn a_name_that_turns_to_this_machine_gets_nobody_there() {
    let server = HttpServer::start().await;
    let port = server.port();
    let allowed = format!("http://flip.example:{port}");
    let request = format!("http GET http://flip.example:{port}/close");
    for version in VERSIONS {
        let (egress, events) = default_egress();
        let results = run_script(version, &egress, &[&allowed], &[&request, &request]).await;
        assert_eq!(results, ["200", "destination-IP-prohibited"], "WASI {version}");
        assert_eq!(events.denials(), ["http.dial dns.rebinding"], "WASI {version}");
    }
}

// proves: DL-4
#[tokio::test]
async fn a_denied_name_behind_an_alias_denies_the_request() {
    let server = HttpServer::start().await;
    let port = server.port();
    let request = format!("http GET http://alias.example:{port}/");
    for version in VERSIONS {
        let (egress, events) = egress(|operator| *operator = denying(&["*://evil.example:*"]));
        let results = run_script(version, &egress, &["http://*:*"], &[&request]).await;
        assert_eq!(results, ["destination-IP-prohibited"], "WASI {version}");
        assert_eq!(events.denials(), ["http.dial deny.cname"], "WASI {version}");
    }
}

// proves: DNS-13
#[tokio::test]
async fn a_request_grants_nothing_to_sockets() {
    let server = HttpServer::start().await;
    let port = server.port();
    let script = [
        format!("http GET http://host.example:{port}/"),
        format!("tcp.connect 127.0.0.1:{port}"),
        "dns.lookup host.example".to_owned(),
        format!("tcp.connect 127.0.0.1:{port}"),
    ];
    let script: Vec<&str> = script.iter().map(String::as_str).collect();
    let allowed = format!("*://host.example:{port}");
    for version in VERSIONS {
        let (egress, _) = default_egress();
        let results = run_script(version, &egress, &[&allowed], &script).await;
        assert_eq!(
            results,
            ["200", "access-denied", "127.0.0.1", "ok"],
            "WASI {version}"
        );
    }
}

/// What a guest writes into a request reaches the server it was judged for, or nobody.
// proves: AL-6
#[tokio::test]
async fn nothing_in_a_request_leads_it_elsewhere() {
    let server = HttpServer::start().await;
    let at = server.address;
    let rows = [
        (
            format!("http.text GET http://{at}/a?b"),
            format!("200 HTTP/1.1 GET {at}/a"),
        ),
        (
            format!("http.text GET http://{at}//evil.example/"),
            format!("200 HTTP/1.1 GET {at}//evil.example/"),
        ),
        (
            format!("http GET http://user@{at}/"),
            "HTTP-request-URI-invalid".to_owned(),
        ),
    ];
    for version in VERSIONS {
        let (egress, _) = default_egress();
        let statements: Vec<&str> = rows.iter().map(|(statement, _)| statement.as_str()).collect();
        let results = run_script(version, &egress, &[&format!("http://{at}")], &statements).await;
        for ((statement, expected), result) in rows.iter().zip(&results) {
            assert_eq!(result, expected, "{statement} on WASI {version}");
        }
    }
}

#[tokio::test]
async fn connections_are_used_again_and_bodies_pass_whole() {
    let at = HttpServer::start().await;
    let address = at.address;
    let script = [
        format!("repeat 20 http GET http://{address}/"),
        format!("http.length GET http://{address}/bytes/3000000"),
        format!("http.upload 3000000 http://{address}/"),
        format!("http GET http://{address}/"),
    ];
    let script: Vec<&str> = script.iter().map(String::as_str).collect();
    for version in VERSIONS {
        let (egress, _) = default_egress();
        let before = at.accepted();
        let results = run_script(version, &egress, &[&format!("http://{address}")], &script).await;
        assert_eq!(
            results,
            ["200 x20", "200 3000000 bytes", "200 3000000 bytes", "200"],
            "WASI {version}"
        );
        assert!(
            at.accepted() - before <= 3,
            "WASI {version}: {} connections",
            at.accepted() - before
        );
    }
}

// proves: DL-9
#[tokio::test]
async fn a_pooled_connection_is_judged_again() {
    let server = HttpServer::start().await;
    let at = server.address;
    for version in VERSIONS {
        let (egress, events) = default_egress();
        let gate = gate(&egress, &["http://host.example:*"]);
        let request = format!("http GET http://host.example:{}/", at.port());
        assert_eq!(run_script_through(version, &gate, &[&request]).await, ["200"]);

        egress.replace_operator(denying(&["*://127.0.0.1:*"]));
        let results = run_script_through(version, &gate, &[&request]).await;
        assert_eq!(results, ["destination-IP-prohibited"], "WASI {version}");
        assert_eq!(
            events.denials(),
            ["http.dial deny.host", "http.dial deny.host"],
            "pooled, then new"
        );
    }
}

// proves
#[tokio::test]
async fn a_request_takes_the_place_of_an_idle_connection_and_waits_for_others() {
    let (one, other) = (HttpServer::start().await, HttpServer::start().await);
    for version in VERSIONS {
        let (egress, _) = egress(|operator| operator.quotas.total_connections = Some(1));
        let script = [
            format!("http GET http://{}/", one.address),
            format!("http GET http://{}/", other.address),
            "tcp.create ipv4".to_owned(),
        ];
        let script: Vec<&str> = script.iter().map(String::as_str).collect();
        let results = run_script(version, &egress, &["*://127.0.0.1:*"], &script).await;
        assert_eq!(results[..2], ["200", "200"], "WASI {version}");
        assert_ne!(results[2], "ok", "a socket does not wait, on WASI {version}");
    }
}

// proves: Q-2
#[tokio::test]
async fn a_request_takes_the_place_of_another_components_idle_connection() {
    let server = HttpServer::start().await;
    let request = format!("http GET http://{}/", server.address);
    for version in VERSIONS {
        let (egress, events) = egress(|operator| operator.quotas.total_connections = Some(1));
        let gates = ["one", "other"].map(|component| (component, gate(&egress, &["http://127.0.0.1:*"])));
        for (component, gate) in [&gates[0], &gates[1], &gates[0]] {
            let start = Instant::now();
            assert_eq!(
                run_script_through(version, gate, &[&request]).await,
                ["200"],
                "{component}"
            );
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "{component}, WASI {version}"
            );
        }
        assert_eq!(events.denials(), [""; 0], "WASI {version}");
    }
}

#[tokio::test]
async fn https_speaks_http_2_to_whom_the_profile_trusts_and_to_nobody_else() {
    let server = https().await;
    let at = server.address;
    let request = format!("http.text GET https://host.example:{}/x", at.port());
    let by_address = format!("http.text GET https://127.0.0.1:{}/x", at.port());
    let answer = format!("200 HTTP/2.0 GET host.example:{}/x", at.port());
    for version in VERSIONS {
        let (egress, _) = default_egress();
        let untrusted = gate(&egress, &["https://*:*"]);
        assert_eq!(
            run_script_through(version, &untrusted, &[&request]).await,
            ["TLS-certificate-error"]
        );

        let trusted = untrusted.with_tls(vec![trusting(&server)]);
        let results = run_script_through(version, &trusted, &[&request, &request, &by_address]).await;
        assert_eq!(
            results,
            [&answer, &answer, "TLS-certificate-error"],
            "WASI {version}"
        );
    }
}

/// A profile for the names and addresses of `server` that trusts it.
fn trusting(server: &HttpsServer) -> Arc<TlsProfile> {
    let hosts = ["host.example", "127.0.0.1"].map(|host| Host::parse(host).unwrap());
    let profile = TlsProfile::builder(hosts.into()).roots_pem(server.certificate.as_bytes());
    Arc::new(profile.unwrap().build().unwrap())
}

/// Waits for `most` until as many connections are `open`.
async fn until(open: &dyn Fn() -> usize, connections: usize, most: Duration, what: &str) {
    let start = Instant::now();
    while open() != connections {
        assert!(start.elapsed() < most, "{what}: {} are open", open());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

// proves: DL-9
#[tokio::test]
async fn a_new_deny_list_closes_what_an_instance_that_is_gone_left_in_the_pool() {
    let (http, https) = (HttpServer::start().await, https().await);
    let rows: [(_, _, &dyn Fn() -> usize); 2] = [
        ("http", http.port(), &|| http.open()),
        ("https", https.address.port(), &|| https.open()),
    ];
    for version in VERSIONS {
        for (scheme, port, open) in rows {
            let what = format!("{scheme} on WASI {version}");
            let (egress, _) = default_egress();
            let gate = gate(&egress, &["http://*:*", "https://*:*"]).with_tls(vec![trusting(&https)]);
            let request = format!("http GET {scheme}://host.example:{port}/");
            assert_eq!(
                run_script_through(version, &gate, &[&request]).await,
                ["200"],
                "{what}"
            );
            assert_eq!(open(), 1, "the pool keeps it: {what}");

            egress.replace_operator(denying(&["*://other.example:*"]));
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(open(), 1, "another host is denied: {what}");

            egress.replace_operator(denying(&["*://host.example:*"]));
            until(open, 0, Duration::from_secs(30), &what).await;
        }
    }
}

/// Each with two requests at a time, which share a connection of HTTP/2 where connections are kept.
// proves: DL-9, Q-1
#[tokio::test]
async fn a_connection_with_an_answer_under_way_is_counted_and_closed_by_a_new_deny_list() {
    let (http, https) = (HttpServer::start().await, https().await);
    let rows: [(_, _, _, _, &dyn Fn() -> usize); 4] = [
        (builder(), "http", http.port(), 2, &|| http.open()),
        (builder(), "https", https.address.port(), 1, &|| https.open()),
        (builder().without_pooling(), "http", http.port(), 2, &|| {
            http.open()
        }),
        (
            builder().without_pooling(),
            "https",
            https.address.port(),
            2,
            &|| https.open(),
        ),
    ];
    for (number, (builder, scheme, port, connections, open)) in rows.into_iter().enumerate() {
        let egress = builder.build().unwrap();
        for version in VERSIONS {
            let what = format!("row {number}, {scheme} on WASI {version}");
            egress.replace_operator(denying(&[]));
            let gate = gate(&egress, &["http://*:*", "https://*:*"]).with_tls(vec![trusting(&https)]);
            let request = format!("http.length GET {scheme}://host.example:{port}/begun");
            let begin = async |connections| {
                let script_guest = ScriptGuest::start(version, &gate, &[&request]);
                // The first script guest has to be compiled.
                until(open, connections, Duration::from_secs(60), &what).await;
                // Until the answer has begun, too.
                tokio::time::sleep(Duration::from_millis(100)).await;
                script_guest
            };
            let script_guests = [begin(1).await, begin(connections).await];
            assert_eq!(egress.metrics().connections as usize, connections, "{what}");

            egress.replace_operator(denying(&["*://host.example:*"]));
            until(open, 0, Duration::from_secs(30), &what).await;
            for mut script_guest in script_guests {
                let result = script_guest.next().await.unwrap();
                assert!(!result.starts_with("200"), "{result}: {what}");
            }
            assert_eq!(egress.metrics().connections, 0, "{what}");
        }
    }
}

// proves
#[tokio::test]
async fn a_request_for_which_there_is_no_room_leaves_the_pool_as_it_is() {
    let server = https().await;
    let request = format!("http GET https://host.example:{}/", server.address.port());
    let rows = VERSIONS.map(|version| {
        let (server, request) = (&server, &request);
        async move {
            let (egress, _) = egress(|operator| operator.quotas.sockets_per_instance = 1);
            let gate = gate(&egress, &["*://*:*"]).with_tls(vec![trusting(server)]);
            assert_eq!(run_script_through(version, &gate, &[request]).await, ["200"]);
            let full = ["tcp.create ipv4 as one", request];
            let results = run_script_through(version, &gate, &full).await;
            assert_eq!(results, ["ok", "connection-limit-reached"], "WASI {version}");
            assert_eq!(run_script_through(version, &gate, &[request]).await, ["200"]);
        }
    });
    futures::future::join_all(rows).await;
}

/// Answers with where a request went.
#[derive(Default)]
struct App(Mutex<Vec<InternalDestination>>);

impl Internal for App {
    fn call(
        &self,
        destination: InternalDestination,
        _depth: u32,
        request: http::Request<WasiBody>,
    ) -> BoxFuture<'static, Result<http::Response<WasiBody>, Error>> {
        self.0.lock().unwrap().push(destination);
        std::future::ready(Ok(http::Response::new(request.into_body()))).boxed()
    }
}

// proves: AL-7
#[tokio::test]
async fn requests_inside_the_app_need_an_entry_and_never_reach_the_network() {
    let script = [
        "http GET http://self.alt/a",
        "http GET http://back.spin.internal/",
        "dns.lookup back.spin.internal",
    ];
    for version in VERSIONS {
        let (egress, _) = default_egress();
        let refused = run_script(version, &egress, &["http://api.example"], &script).await;
        assert_eq!(
            refused,
            ["HTTP-request-denied", "HTTP-request-denied", "access-denied"],
            "WASI {version}"
        );

        let gate = gate(
            &egress,
            &["http://self", "http://back.spin.internal", "*://db.example:1"],
        );
        let app = Arc::new(App::default());
        gate.set_internal(app.clone());
        assert_eq!(
            run_script_through(version, &gate, &script).await,
            ["200", "200", "access-denied"],
            "WASI {version}"
        );
        let component = InternalDestination::Component("back".to_owned());
        assert_eq!(
            *app.0.lock().unwrap(),
            [InternalDestination::App, component],
            "WASI {version}"
        );
    }
}
