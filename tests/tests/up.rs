//! `outport up`: an app with HTTP triggers and commands, each component with its own policy.

use std::io::{Read, Write};
use std::net::TcpStream;

use outport_e2e::audit;
use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::guest;
use outport_e2e::http::{self, Response};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::script::results;
use outport_e2e::tcp::TcpPeer;

/// An app with the component `web` at every path; `rest` follows its table.
fn app(entries: &str, rest: &str) -> String {
    format!(
        r#"spin_manifest_version = 2

[application]
name = "shop"
version = "0.1.0"

[[trigger.http]]
route = "/..."
component = "web"

[component.web]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = [{entries}]
{rest}"#
    )
}

/// The results of a script that a request brings to the component at `path`.
fn run_script(app: &Running, path: &str, script: &str) -> Vec<String> {
    let (address, length) = (app.address(), script.len());
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{script}"
    );
    let response = http::send(address, &request).unwrap_or_else(|error| panic!("{path}: {error}\n{app}"));
    assert_eq!(response.status, 200, "{}\n{app}", response.body);
    results(&response.body).into_iter().map(str::to_owned).collect()
}

#[test]
fn an_app_says_what_it_serves_and_what_its_components_may_reach() {
    let app = Outport::up(&app("\"*://db.example.com:5432\"", "")).start();
    assert_eq!(app.get("/hello").body, "hello\n");
    let said = app.stderr();
    let url = format!("http://{}/...", app.address());
    for part in ["shop", "web", url.as_str(), "*://db.example.com:5432"] {
        assert!(said.contains(part), "no `{part}`\n{app}");
    }
    assert!(
        said.lines()
            .last()
            .is_some_and(|line| line.starts_with("Serving http://")),
        "{app}"
    );
    app.stop().expect_code(0);
}

// proves: ORD-2, AL-3
#[test]
fn each_component_has_its_own_policy() {
    let peer = TcpPeer::echo();
    let entry = format!("\"*://{}\"", peer.address());
    let other = "\n[[trigger.http]]\nroute = \"/other/...\"\ncomponent = \"other\"\n\n\
        [component.other]\nsource = \"GUESTS/http-script-guest.wasm\"\n";
    let app = Outport::up(&app(&entry, other)).start();
    let connect = format!("tcp.connect {}", peer.address());
    assert_eq!(run_script(&app, "/", &connect), ["ok"]);
    assert_eq!(run_script(&app, "/other", &connect), ["access-denied"]);
    let finished = app.stop().expect_code(0);
    let denied: Vec<_> = finished.audit.iter().filter(|line| line.denied()).collect();
    assert_eq!(denied.len(), 1, "{finished}");
    assert_eq!(
        (denied[0].field("component").as_str(), denied[0].reason().as_str()),
        ("other", "allow.none")
    );
}

// proves: DNS-7
#[test]
fn dns_7_a_grant_belongs_to_the_instance_that_asked() {
    let (peer, dns) = (TcpPeer::echo(), DnsServer::start());
    dns.answers("db.test", [Reply::addresses(["127.0.0.1"]).ttl(60)]);
    let entry = format!("\"*://db.test:{}\"", peer.port());
    let app = Outport::up(&app(&entry, ""))
        .dns(&dns)
        .option("--allow-loopback-answers")
        .start();
    let connect = format!("tcp.connect {}", peer.address());
    // Each request has an instance of its own. One that has looked the name up, while another one has not:
    let both = format!("dns.lookup db.test; {connect}; wait 700; {connect}");
    std::thread::scope(|scope| {
        let asker = scope.spawn(|| run_script(&app, "/", &both));
        peer.wait_for(1);
        assert_eq!(run_script(&app, "/", &connect), ["access-denied"]);
        assert_eq!(
            asker.join().ok(),
            Some(["127.0.0.1", "ok", "ok", "ok"].map(str::to_owned).to_vec())
        );
    });
    let finished = app.stop().expect_code(0);
    assert_eq!(finished.reasons(), ["allow.name-not-looked-up"]);
}

#[test]
fn requests_carry_spins_headers_and_nobody_can_forge_them() {
    let manifest = app("", "").replace("route = \"/...\"", "route = \"/shop/:user/...\"");
    let app = Outport::up(&manifest).start();
    let address = app.address();
    let request = format!(
        "GET /shop/ann/cart/headers?x=1 HTTP/1.1\r\nHost: {address}\r\nspin-client-addr: 6.6.6.6\r\n\
        Spin-Made-Up: yes\r\nspin_made_up: yes\r\nX-Own: kept\r\nConnection: close\r\n\r\n"
    );
    let headers = http::send(address, &request)
        .map(|response| response.body)
        .unwrap_or_default();
    for line in [
        format!("spin-full-url: http://{address}/shop/ann/cart/headers?x=1"),
        "spin-path-info: /cart/headers".to_owned(),
        "spin-component-route: /shop/:user".to_owned(),
        "spin-raw-component-route: /shop/:user/...".to_owned(),
        "spin-matched-route: /shop/:user/...".to_owned(),
        "spin-base-path: /".to_owned(),
        "spin-path-match-user: ann".to_owned(),
        "x-own: kept".to_owned(),
    ] {
        assert!(
            headers.lines().any(|own| own == line),
            "no `{line}` in\n{headers}"
        );
    }
    assert!(headers.contains("spin-client-addr: 127.0.0.1:"), "{headers}");
    for forged in ["6.6.6.6", "made-up", "made_up"] {
        assert!(!headers.contains(forged), "`{forged}` in\n{headers}");
    }
}

#[test]
fn the_most_specific_route_answers_and_no_route_is_404() {
    let manifest = r#"
spin_manifest_version = 2
[application]
name = "routes"

[[trigger.http]]
route = "/exact"
component = "exact"
[[trigger.http]]
route = "/exact/..."
component = "below"
[[trigger.http]]
route = "/user/:id"
component = "one"
[[trigger.http]]
route = { private = true }
component = "hidden"
"#;
    let component = |name: &str| {
        format!(
            "[component.{name}]\nsource = \"GUESTS/http-script-guest.wasm\"\nenvironment = {{ ME = \"{name}\" }}\n"
        )
    };
    let components: String = ["exact", "below", "one", "hidden"]
        .into_iter()
        .map(component)
        .collect();
    let app = Outport::up(&format!("{manifest}{components}")).start();
    for (path, status, component) in [
        ("/exact?env%20ME", 200, ""),
        ("/exact/env", 200, "ME=below\n"),
        ("/exact/deep/env", 200, "ME=below\n"),
        ("/user/env", 200, "ME=one\n"),
        ("/user/7/env", 404, ""),
        ("/user", 404, ""),
        ("/hidden", 404, ""),
        ("/", 404, ""),
    ] {
        let Response {
            status: found, body, ..
        } = app.get(path);
        assert_eq!(found, status, "{path}: {body}");
        assert!(body.contains(component), "{path}: {body}");
    }
}

#[test]
fn commands_run_once_with_their_arguments_and_give_the_exit_code() {
    let manifest = |arguments: &str| {
        format!(
            "spin_manifest_version = 2\n[application]\nname = \"batch\"\n\n[[trigger.command]]\ncomponent = \"job\"\n\
            args = [{arguments}]\n\n[component.job]\nsource = \"GUESTS/script-guest.wasm\"\nenvironment = {{ A = \"b\" }}\n"
        )
    };
    let app = |arguments: &str| {
        let up = Outport::command("up").manifest(&manifest(arguments));
        up.finish()
    };
    let finished = app(r#""env A", "print done""#).expect_code(0);
    assert_eq!(
        finished.stdout, "[job] 1 env A => b\n[job] 2 print done => done\n",
        "{finished}"
    );
    let plain = Outport::command("up").manifest(&manifest(r#""env A""#));
    let plain = plain.option("--no-output-prefix").finish().expect_code(0);
    assert_eq!(plain.stdout, "1 env A => b\n", "{plain}");
    // The operator's value takes the place of the author's; the guest is not given both.
    let given = Outport::command("up").manifest(&manifest(r#""env A", "env""#));
    let given = given
        .options(["--no-output-prefix", "--env=A=c"])
        .finish()
        .expect_code(0);
    assert_eq!(given.stdout, "1 env A => c\n2 env => A=c\n", "{given}");
    app(r#""exit 7""#).expect_code(7);
}

#[test]
fn only_the_chosen_components_run() {
    let other = "\n[[trigger.http]]\nroute = \"/other/...\"\ncomponent = \"other\"\n\n\
        [component.other]\nsource = \"GUESTS/http-script-guest.wasm\"\n";
    let app = Outport::up(&app("", other)).option("--component=other").start();
    assert_eq!(app.get("/other/hello").status, 200);
    assert_eq!(app.get("/hello").status, 404);
    drop(app);
    let finished = Outport::up(&self::app("", ""))
        .option("--component=none")
        .finish()
        .expect_code(2);
    assert!(finished.stderr.contains("none"), "{finished}");
}

// proves: AL-8
#[test]
fn al_8_templates_in_entries_are_filled_in() {
    let peer = TcpPeer::echo();
    let variables = "\n[variables]\nport = { default = \"1\" }\nhost = { default = \"127.0.0.1\" }\nextra = { default = \"\" }\n";
    let entries = r#""*://{{ host }}:{{ port }}", "{{ extra }}""#;
    let connect = format!("tcp.connect {}", peer.address());
    let manifest = app(entries, variables);
    let app = Outport::up(&manifest).start();
    assert_eq!(run_script(&app, "/", &connect), ["access-denied"]);
    drop(app);
    let app = Outport::up(&manifest)
        .options([format!("--variable=port={}", peer.port())])
        .start();
    assert_eq!(run_script(&app, "/", &connect), ["ok"]);
    drop(app);
    // A value that makes a bad entry is named with its variable.
    let finished = Outport::up(&manifest)
        .option("--variable=port=no")
        .finish()
        .expect_code(2);
    for part in ["port", "no", "spin.toml:13"] {
        assert!(finished.stderr.contains(part), "no `{part}`\n{finished}");
    }
}

#[test]
fn a_guest_that_traps_is_a_500_and_the_app_goes_on() {
    let app = Outport::up(&app("", "")).start();
    let response = app.get("/?trap");
    assert_eq!(response.status, 500, "{}", response.body);
    assert!(
        !response.body.contains("unreachable"),
        "a client learns nothing\n{}",
        response.body
    );
    assert_eq!(app.get("/hello").status, 200);
    let finished = app.stop().expect_code(0);
    assert!(
        finished.stderr.contains("web") && finished.stderr.contains("unreachable"),
        "{finished}"
    );
}

#[test]
fn an_address_in_use_is_said() {
    let first = Outport::up(&app("", "")).start();
    let address = first.address();
    let second = Outport::command("up")
        .manifest(&app("", ""))
        .option(format!("--listen={address}"));
    let finished = second.finish().expect_code(1);
    assert!(finished.stderr.contains(&address.to_string()), "{finished}");
}

// proves: RSN-1
#[test]
fn rsn_1_the_log_names_component_and_instance() {
    let app = Outport::up(&app("", "")).start();
    for _ in 0..2 {
        run_script(&app, "/", "tcp.connect 10.0.0.5:5432");
    }
    let finished = app.stop().expect_code(0);
    assert_eq!(audit::reasons(&finished.audit), ["allow.none", "allow.none"]);
    let instances: Vec<_> = finished
        .audit
        .iter()
        .filter(|line| line.denied())
        .map(|line| line.field("instance"))
        .collect();
    assert_ne!(
        instances[0], instances[1],
        "each request has an instance of its own"
    );
    assert!(
        finished.audit.iter().all(|line| line.field("component") == "web"),
        "{finished}"
    );
}

// RFC 9112, section 3.2
#[test]
fn a_request_with_no_host_or_several_or_one_that_is_none_is_refused() {
    let app = Outport::up(&app("", "")).start();
    // (headers, status)
    let rows = [
        ("Host: a\r\n", 200),
        ("", 400),
        ("Host: a\r\nHost: b\r\n", 400),
        ("Host: a\r\nhost: a\r\n", 400),
        ("Host: a:80\r\n", 200),
        ("Host: a:99999\r\n", 400),
        ("Host: a b\r\n", 400),
        ("Host: a/x\r\n", 400),
        ("Host: user@a\r\n", 400),
        ("Host: \"<b>\r\n", 400),
        ("Host: a\r\nX-Between: 1\r\nHOST: b\r\nHost: c\r\n", 400),
    ];
    for target in ["/hello", "http://a/hello"] {
        for (headers, status) in rows {
            // Whoever writes the host into the request line has named it.
            let status = match headers {
                "" if target.starts_with("http") => 200,
                _ => status,
            };
            let request = format!("GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
            let response =
                http::send(app.address(), &request).unwrap_or_else(|error| panic!("{error}\n{app}"));
            assert_eq!(response.status, status, "{request}");
        }
    }
    app.stop();
}

// RFC 9112, sections 6 and 11.2
#[test]
fn a_request_that_is_framed_in_two_ways_is_refused_or_read_once() {
    let app = Outport::up(&app("", "")).start();
    // (headers and body behind the first line, statuses of the answers)
    let rows: [(&str, &[u16]); 12] = [
        (
            "Host: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nargs",
            &[200],
        ),
        (
            "Host: a\r\nContent-Length: 4\r\nContent-Length: 3\r\n\r\nargs",
            &[400],
        ),
        ("Host: a\r\nContent-Length: 4, 3\r\n\r\nargs", &[400]),
        ("Host: a\r\nContent-Length: +4\r\n\r\nargs", &[400]),
        ("Host: a\r\nContent-Length : 4\r\n\r\nargs", &[400]),
        (
            "Host: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            &[400],
        ),
        ("Host: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", &[400]),
        ("Host: a\r\nX: a\r\n b\r\n\r\n", &[400]),
        ("Host: a\r\nX: a\rY: b\r\n\r\n", &[400]),
        ("Host: a\r\nX: a\0b\r\n\r\n", &[400]),
        // Chunks count, and nothing is read behind them: the connection ends.
        (
            "Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nargs\r\n0\r\n\r\n\
             GET /smuggled/hello HTTP/1.1\r\nHost: a\r\n\r\n",
            &[200],
        ),
        (
            "Host: a\r\nContent-Length: 4\r\n\r\nargsGET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &[200, 200],
        ),
    ];
    for (rest, statuses) in rows {
        let request = format!("POST / HTTP/1.1\r\n{rest}");
        let mut stream = TcpStream::connect(app.address()).expect("the app listens");
        stream.write_all(request.as_bytes()).expect("it takes a request");
        let mut answers = String::new();
        // A connection that is refused may be reset behind the answer.
        let _ = stream.read_to_string(&mut answers);
        let found: Vec<_> = answers
            .lines()
            .filter_map(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse::<u16>().ok())
            .collect();
        assert_eq!(found, statuses, "{request:?}\n{answers}");
    }
    app.stop();
}

/// Who sets a variable: the process, then `.env` beside the manifest, then the default.
#[test]
fn a_variable_comes_from_the_environment_or_from_a_file_beside_the_manifest() {
    let manifest = app(
        "\"*://{{ host }}:1\"",
        "[variables]\nhost = { default = \"default.test\" }\n",
    );
    let dotenv = "# local\nNAME=file\nexport SPIN_VARIABLE_HOST=\"$NAME.test\" # why\n";
    // (lines of `.env`, the environment, the host)
    let rows = [
        (None, None, "default.test"),
        (Some(dotenv), None, "file.test"),
        (Some(dotenv), Some("process.test"), "process.test"),
    ];
    for (dotenv, variable, host) in rows {
        let mut up = Outport::up(&manifest);
        if let Some(lines) = dotenv {
            up = up.file(".env", lines);
        }
        if let Some(value) = variable {
            up = up.variable("SPIN_VARIABLE_HOST", value);
        }
        let running = up.start();
        running.address();
        assert!(running.stderr().contains(&format!("*://{host}:1")), "{running}");
        running.stop().expect_code(0);
    }
    // A slip leaves the default in place, or nothing.
    let noted = "`SPIN_VARIABLE_HOTS` sets no variable of this app: did you mean `SPIN_VARIABLE_HOST`?";
    let running = Outport::up(&manifest)
        .file(".env", "SPIN_VARIABLE_HOTS=hunter2\n")
        .start();
    running.address();
    assert!(running.stderr().contains(noted), "{running}");
    assert!(!running.stderr().contains("hunter2"), "{running}");
    running.stop().expect_code(0);
    let required = manifest.replace("{ default = \"default.test\" }", "{ required = true }");
    let refused = Outport::up(&required)
        .variable("SPIN_VARIABLE_HOTS", "hunter2")
        .finish()
        .expect_code(2);
    assert!(refused.stderr.contains("variables.not-set"), "{refused}");
    assert!(refused.stderr.contains(noted), "{refused}");
    let refused = Outport::up(&manifest)
        .file(".env", "SPIN_VARIABLE_HOST=$HOME-hunter2\n")
        .finish()
        .expect_code(2);
    assert!(refused.stderr.contains(".env:1:1"), "{refused}");
    assert!(!refused.stderr.contains("hunter2"), "{refused}");
}

// proves: HI-5
#[test]
fn a_label_leads_where_the_operator_says_or_nothing_starts() {
    let stores = "key_value_stores = [\"default\", \"cache\"]\nsqlite_databases = [\"default\"]";
    let operators = "[key_value_store.cache]\ntype = \"spin\"\npath = \"near/cache.db\"\n\
                     [sqlite_database.default]\ntype = \"spin\"\npath = \"tables.db\"\n";
    let up = || Outport::up(&app("", stores)).file("operator.toml", operators);
    let running = up().option("--runtime-config-file=operator.toml").start();
    running.address();
    for part in [
        "key-value default  .spin/sqlite_key_value.db",
        "key-value cache    near/cache.db",
        "sqlite default     tables.db",
    ] {
        assert!(running.stderr().contains(part), "no `{part}`\n{running}");
    }
    running.stop().expect_code(0);
    let refused = up().finish().expect_code(2);
    let told = "nothing defines `cache` of `key_value_stores`";
    assert!(refused.stderr.contains(told), "{refused}");
    assert!(refused.stderr.contains("spin.toml:14:33"), "{refused}");
    // Also next to a mistake a secret is not quoted.
    let wrong = "[key_value_store.cache]\ntype = \"redis\"\nurl = \"redis://:hunter2@127.0.0.1:1/0\" url = 5\n\
                 [llm_compute]\ntype = \"remote_http\"\nurl = \"http://x:hunter2\"\nauth_token = [\"hunter2\"]\n";
    let refused = Outport::up(&app("", ""))
        .file("operator.toml", wrong)
        .option("--runtime-config-file=operator.toml")
        .finish()
        .expect_code(2);
    assert!(refused.stderr.contains("operator.toml:3:"), "{refused}");
    assert!(!refused.stderr.contains("hunter2"), "{refused}");
}

/// What an operator of Spin has in the environment is acted on, or said not to be.
#[test]
fn what_spin_reads_of_the_environment_is_acted_on_or_said_not_to_be() {
    let operators = "[outbound_networking]\nblock_networks = [\"private\"]\n\
                     [[client_tls]]\ncomponent_ids = [\"wbe\"]\nhosts = [\"a.test\"]\n";
    // (variables, what is said)
    let rows: [(&[(&str, &str)], &str); 8] = [
        (&[("RUNTIME_CONFIG_FILE", "operator.toml")], "denies private"),
        (&[("RUNTIME_CONFIG_FILE", "operator.toml")], "did you mean `web`?"),
        (
            &[
                ("OUTPORT_RUNTIME_CONFIG_FILE", "operator.toml"),
                ("RUNTIME_CONFIG_FILE", "none"),
            ],
            "denies private",
        ),
        (
            &[("SPIN_STATE_DIR", "state")],
            "key-value default  state/sqlite_key_value.db",
        ),
        (
            &[("SPIN_LOG_DIR", "logs")],
            "`SPIN_LOG_DIR` is set and has no effect",
        ),
        (
            &[("OUTPORT_RUNTIME_CONFIG_FILE", "none.toml")],
            "refuses all sockets and outgoing requests: `max_sockets` is 0",
        ),
        (&[("SPIN_WASMTIME_INSTANCE_COUNT", "1")], "`--max-requests`"),
        (&[("SPIN_MAX_INSTANCE_MEMORY", "67108864")], "Serving"),
    ];
    for (variables, part) in rows {
        let mut up = Outport::up(&app("", "key_value_stores = [\"default\"]"))
            .file("operator.toml", operators)
            .file("none.toml", "[outbound_networking]\nmax_sockets = 0\n");
        for (name, value) in variables {
            up = up.variable(*name, *value);
        }
        let running = up.option("--allow-loopback-ports=53,80-90").start();
        running.address();
        assert!(running.stderr().contains(part), "no `{part}`\n{running}");
        assert!(
            running
                .stderr()
                .contains("lifts the limit on loopback ports 53,80-90"),
            "{running}"
        );
        running.stop().expect_code(0);
    }
    let rows = [
        (
            "RUNTIME_CONFIG_FILE",
            "none",
            "there is no runtime config file `none`",
        ),
        (
            "SPIN_TLS_CERT",
            "cert.pem",
            "there is a certificate and no private key",
        ),
        ("SPIN_MAX_INSTANCE_MEMORY", "512", "less than any component needs"),
    ];
    for (name, value, part) in rows {
        let refused = Outport::up(&app("", ""))
            .variable(name, value)
            .finish()
            .expect_code(2);
        assert!(
            refused.stderr.contains(part) && refused.stderr.contains(name),
            "{refused}"
        );
    }
    // Without `--listen`: what is not an address is refused, so the variable was read.
    let listen = Outport::command("up").manifest(&app("", ""));
    let refused = listen
        .variable("SPIN_HTTP_LISTEN_ADDR", "localhost:80000")
        .finish()
        .expect_code(2);
    assert!(refused.stderr.contains("the highest port is 65535"), "{refused}");
    let listen = Outport::command("up").manifest(&app("", ""));
    let running = listen.variable("SPIN_HTTP_LISTEN_ADDR", "localhost:0").start();
    assert_eq!(running.get("/hello").body, "hello\n");
    running.stop().expect_code(0);
}

#[test]
fn an_app_is_named_with_an_option_or_without() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let manifest = app("", "").replace(
        "GUESTS",
        &guest::workspace().join("guests/wasm").display().to_string(),
    );
    std::fs::write(folder.path().join("spin.toml"), manifest).expect("a file in a folder of our own");
    let running = Outport::command("up")
        .options(["--listen=127.0.0.1:0"])
        .option(folder.path())
        .start();
    assert_eq!(running.get("/hello").body, "hello\n");
    running.stop().expect_code(0);
    Outport::command("check")
        .option(folder.path())
        .finish()
        .expect_code(0);
    let both = Outport::command("up")
        .option("-f.")
        .option(folder.path())
        .finish()
        .expect_code(2);
    assert!(both.stderr.contains("cannot be used with"), "{both}");
    let nothing = Outport::up(&app("", "[component.lib]\nsource = \"lib.wasm\"\n"));
    let nothing = nothing.option("--component=lib").finish().expect_code(2);
    assert!(nothing.stderr.contains("no trigger starts `lib`"), "{nothing}");
}
