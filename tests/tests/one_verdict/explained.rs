//! What `outport explain` says of a destination is what a guest gets that tries it.
//!
//! ```text
//! Scene × (HOSTS × PORTS × ways + names) = rows ─┬─ outport explain … a document each
//!                                                └─ outport run script-guest … a few statements each, on WASI 0.2 and 0.3
//! ```
//!
//! The rows are put together, not chosen: whatever spelling, port and way come together under a policy has to be told
//! as it happens. Left out is what WASI's own rules answer before anybody judges (HL-6, HL-7), and what is no
//! destination. Addresses are tried before names are looked up, and no two names have an address in common, so that a
//! grant of one row permits nothing in another.

use std::collections::BTreeSet;

use outport_e2e::audit::AuditLine;
use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::guest;
use outport_e2e::http::{Closing, Origin};
use outport_e2e::network::isolated;
use outport_e2e::outport::Outport;
use serde_json::Value;

use super::{MARK, Outcome, eventually, outcomes};

/// What author and operator say.
struct Policy {
    title: &'static str,
    author: &'static [&'static str],
    operator: &'static [&'static str],
}

/// How a guest tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Http,
    Https,
    Tcp,
    Udp,
    Lookup,
}

/// One destination, and the addresses that its host has if that is a name.
#[derive(Clone, Copy, Debug)]
struct Row {
    way: Way,
    host: &'static str,
    port: u16,
    at: &'static [&'static str],
}

const PORTS: [u16; 3] = [80, 8080, 8081];

/// Addresses that requests and sockets reach alike.
const ADDRESSES: &[&str] = &[
    "10.0.0.5",
    "10.0.0.6",
    "93.184.216.34",
    "127.0.0.1",
    "127.1.2.3",
    "0.1.2.3",
    "169.254.169.254",
    "100.100.100.200",
    "224.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[2606:2800:21f::34]",
    "[2606:2800:21F:0:0::34]",
    "[64:ff9b::a00:5]",
    "[64:ff9b::7f00:1]",
    "[2002:a00:6::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
];

/// Spellings that only a URL can have: a socket takes an address, and one that is not mapped.
const URL_ADDRESSES: &[&str] = &[
    "167772165",
    "0x0a.0.0.5",
    "0xA000005",
    "10.5",
    "012.0.0.5",
    "10.0.0.5.",
    "127.0.1.",
    "127.1",
    "2130706433",
    "[::ffff:10.0.0.5]",
    "[::ffff:a00:6]",
    "[::ffff:127.0.0.1]",
    "0.0.0.0",
    "[::]",
];

/// Names with the addresses that they have; each name once in lower case.
const NAMES: &[(&[&str], &[&str])] = &[
    (&["db.test", "DB.Test", "db.test.", "DB.TEST."], &["10.9.1.1"]),
    (&["other.test", "Other.Test."], &["10.9.1.2"]),
    (&["a.wild.test", "A.WILD.TEST"], &["10.9.1.3"]),
    (&["b.a.wild.test", "b.a.wild.test."], &["10.9.1.4"]),
    (&["wild.test"], &["10.9.1.5"]),
    (&["notwild.test"], &["10.9.1.6"]),
    (&["web.test", "WEB.test."], &["10.9.1.7"]),
    (&["raw.test"], &["10.9.1.8"]),
    (&["evil.test", "EVIL.test."], &["10.9.1.9"]),
    (&["x.bad.test"], &["10.9.1.10"]),
    (&["six.test"], &["[2606:2800:21f::34]"]),
    (&["public.test"], &["93.184.216.34"]),
    (&["loopback.test"], &["127.0.0.9"]),
    (&["metadata.test"], &["169.254.169.254"]),
    (&["mixed.test"], &["10.9.1.11", "127.0.0.8"]),
    (&["xn--bcher-kva.test", "XN--bcher-kva.test."], &["10.9.1.12"]),
    (&["_srv.test"], &["10.9.1.13"]),
    (&["-a.test", "-A.test."], &["10.9.1.14"]),
    (&["1st.test"], &["10.9.1.15"]),
    (&["localhost", "LOCALHOST."], &["127.0.0.1", "[::1]"]),
];

/// Of those that are the app itself to a request, what a server says to a look-up.
const LOOKED_UP: [(&str, &str); 2] = [("self", "10.9.1.20"), ("self.alt", "10.9.1.21")];

/// Spellings that no URL can have.
const LOOKED_UP_ALONE: &[&str] = &["bücher.test", "BÜCHER.test", "ＤＢ.test", "db。test"];

/// Names that no server is asked for by a request.
const INSIDE: &[&str] = &[
    "self",
    "SELF.",
    "self.alt",
    "back.spin.internal",
    "Back.Spin.Internal.",
    "x.back.spin.internal",
    "spin.internal",
];

const POLICIES: &[Policy] = &[
    Policy {
        title: "no entry",
        author: &[],
        operator: &["--allow-loopback-ports=*", "--allow-link-local"],
    },
    Policy {
        title: "the author's list",
        author: &[
            "*://10.0.0.5:8080",
            "*://10.0.0.6:{80,8081-8090}",
            "*://[2606:2800:21f::34]:8080",
            "*://db.test:8080",
            "*://*.wild.test:8080",
            "http://web.test:8080",
            "https://web.test:8081",
            "tcp://raw.test:8080",
            "*://bücher.test:80..8081",
            "*://_srv.test:8081",
            "*://-a.test:8080",
            "*://mixed.test:8080",
            "http://self",
            "http://back.spin.internal",
        ],
        operator: &[],
    },
    Policy {
        title: "everything",
        author: &["*://*:*"],
        operator: &[],
    },
    Policy {
        title: "the operator's list",
        author: &["*://*:*"],
        operator: &[
            "--disallowed-outbound-hosts=*://10.0.0.5:8080,*://93.184.216.0/24:*,*://evil.test:*,*://db.test:80",
            "--disallowed-outbound-hosts=*://*.bad.test:*,https://10.0.0.6:8081,http://web.test:80,http://self",
            "--disallowed-outbound-hosts=*://localhost:8081,udp://*:*",
            "--no-resolve-disallowed",
        ],
    },
    Policy {
        title: "denied names are resolved",
        author: &["*://*:*"],
        operator: &["--disallowed-outbound-hosts=*://evil.test:8080,*://public.test:*,http://six.test:80"],
    },
    Policy {
        title: "blocked networks",
        author: &["*://*:*", "http://self"],
        operator: &["--runtime-config-file=blocks.toml"],
    },
    Policy {
        title: "lifted limits",
        author: &[
            "*://*.test:*",
            "*://127.0.0.0/8:*",
            "*://169.254.169.254:8080",
            "*://localhost:{80,8080}",
        ],
        operator: &[
            "--allow-loopback-ports=80",
            "--allow-link-local",
            "--allow-loopback-answers",
        ],
    },
    Policy {
        title: "requests alone",
        author: &[
            "http://*:8080",
            "https://*.test:8081",
            "{http,https}://10.0.0.0/8:8080",
            "http://*.spin.internal",
        ],
        operator: &[],
    },
    Policy {
        title: "datagrams too",
        author: &["udp://10.0.0.0/8:*", "udp://*.test:8080", "*://127.0.0.1:8081"],
        operator: &["--allow-udp"],
    },
];

const BLOCKS: &str = "[outbound_networking]\nblock_networks = [\"private\"]\n";

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |ways: &[Way], host, at| {
        for (way, port) in ways.iter().flat_map(|way| PORTS.map(|port| (*way, port))) {
            rows.push(Row { way, host, port, at });
        }
    };
    for host in ADDRESSES {
        add(&[Way::Http, Way::Https, Way::Tcp, Way::Udp], host, &[]);
    }
    for host in URL_ADDRESSES {
        add(&[Way::Http, Way::Https], host, &[]);
    }
    for host in INSIDE {
        add(&[Way::Http, Way::Https], host, &[]);
    }
    for (spellings, at) in NAMES {
        for host in *spellings {
            add(&[Way::Http, Way::Https, Way::Tcp, Way::Udp], host, at);
        }
    }
    let names = NAMES.iter().flat_map(|(spellings, _)| *spellings);
    let names = names.chain(INSIDE).chain(LOOKED_UP_ALONE);
    rows.extend(names.map(|host| Row {
        way: Way::Lookup,
        host,
        port: 0,
        at: &[],
    }));
    rows
}

impl Row {
    fn destination(&self) -> String {
        let Self { way, host, port, .. } = self;
        match way {
            Way::Http => format!("http://{host}:{port}/"),
            Way::Https => format!("https://{host}:{port}/"),
            Way::Tcp => format!("tcp://{host}:{port}"),
            Way::Udp => format!("udp://{host}:{port}"),
            Way::Lookup => (*host).to_owned(),
        }
    }

    fn statements(&self) -> Vec<String> {
        let connect = match self.way {
            Way::Http | Way::Https => return vec![format!("http GET {}", self.destination())],
            Way::Lookup => return vec![format!("dns.lookup {}", self.host)],
            Way::Tcp => "tcp.connect",
            Way::Udp => "udp.connect",
        };
        let lookup = (!self.at.is_empty()).then(|| format!("dns.lookup {}", self.host));
        let addresses = if self.at.is_empty() {
            std::slice::from_ref(&self.host)
        } else {
            self.at
        };
        let connects = addresses
            .iter()
            .map(|address| format!("{connect} {address}:{}", self.port));
        lookup.into_iter().chain(connects).collect()
    }

    /// The reasons for which a guest is refused; none if it is not.
    fn refused<'o>(&self, outcomes: &'o [Outcome]) -> BTreeSet<&'o str> {
        let (lookup, tries) = match self.at {
            [] => (&outcomes[..0], outcomes),
            _ if matches!(self.way, Way::Tcp | Way::Udp) => outcomes.split_at(1),
            _ => (&outcomes[..0], outcomes),
        };
        let all = |outcomes: &'o [Outcome]| -> BTreeSet<&'o str> {
            let reasons = outcomes.iter().flat_map(|outcome| &outcome.reasons);
            reasons.map(String::as_str).collect()
        };
        match lookup {
            [lookup] if lookup.is_refused() => all(std::slice::from_ref(lookup)),
            _ if tries.iter().all(Outcome::is_refused) => all(tries),
            _ => {
                let odd = ["invalid-argument", "invalid-authority", "name-unresolvable"];
                let results = tries.iter().map(|outcome| outcome.result.as_str());
                assert!(
                    results.clone().all(|result| !odd.contains(&result)),
                    "{self:?}: {outcomes:?}"
                );
                BTreeSet::new()
            }
        }
    }
}

// proves: ORD-3, RSN-1, AL-2, AL-3, AL-5, AL-6, AL-7, AL-10, DNS-1, DNS-2, DNS-9, HL-5, HL-7, DL-2, DL-5, DL-7, RL-5
#[test]
fn what_explain_says_is_what_a_guest_gets() {
    isolated(|| {
        let dns = DnsServer::start();
        for (spellings, at) in NAMES {
            let addresses = at.iter().map(|address| address.trim_matches(['[', ']']));
            dns.answers(spellings[0], [Reply::addresses(addresses)]);
        }
        for (name, address) in LOOKED_UP {
            dns.answers(name, [Reply::addresses([address])]);
        }
        let _origins = [8080, 80, 8081].map(|port| Origin::start_on(("::", port), "here", Closing::Always));
        let rows = rows();
        let mut compared = 0;
        let mut differences = Vec::new();
        for policy in POLICIES {
            let explained = explain(policy, &rows);
            assert_eq!(explained.len(), rows.len(), "{}", policy.title);
            for script_guest in ["script-guest", "script-guest-p3"] {
                let outcomes = run_rows(policy, &rows, script_guest, &dns);
                let mut rest = outcomes.as_slice();
                for (row, explanation) in rows.iter().zip(&explained) {
                    let (own, others) = rest.split_at(row.statements().len());
                    rest = others;
                    compared += 1;
                    let refused = row.refused(own);
                    let agree = match explanation {
                        None => refused.is_empty(),
                        Some(reason) => refused.contains(reason.as_str()),
                    };
                    if !agree {
                        let (title, destination) = (policy.title, row.destination());
                        differences.push(format!(
                            "{destination} ({title}, {script_guest}): {explanation:?}, and the guest got {own:?}"
                        ));
                    }
                }
            }
        }
        assert!(
            differences.is_empty(),
            "{} of {compared}:\n{}",
            differences.len(),
            differences.join("\n")
        );
        assert!(compared > 2 * 500, "only {compared} rows");
    });
}

/// The reason for each row, or nothing where it is allowed.
fn explain(policy: &Policy, rows: &[Row]) -> Vec<Option<String>> {
    let list = policy.author.iter().map(|entry| format!("{entry:?}"));
    let list = list.collect::<Vec<_>>().join(", ");
    let manifest = format!(
        "spin_manifest_version = 2\napplication.name = \"x\"\n[[trigger.command]]\ncomponent = \"script-guest\"\n\
         [component.script-guest]\nsource = \"x.wasm\"\nallowed_outbound_hosts = [{list}]\n"
    );
    let assumed = NAMES.iter().map(|(spellings, at)| {
        let addresses: Vec<&str> = at
            .iter()
            .map(|address| address.trim_matches(['[', ']']))
            .collect();
        format!("--dns={}={}", spellings[0], addresses.join(","))
    });
    let assumed = assumed.chain(LOOKED_UP.map(|(name, address)| format!("--dns={name}={address}")));
    let run = Outport::command("explain")
        .manifest(&manifest)
        .file("blocks.toml", BLOCKS);
    let finished = run
        .options(policy.operator)
        .options(assumed)
        .options(["--format=json", "--"])
        .options(rows.iter().map(Row::destination))
        .finish();
    let documents = serde_json::Deserializer::from_str(&finished.stdout).into_iter::<Value>();
    documents
        .map(|document| {
            let document = document.unwrap_or_else(|error| panic!("{error}\n{finished}"));
            match document["verdict"].as_str() {
                Some("allowed") => None,
                Some("denied") => document["reason"].as_str().map(str::to_owned),
                _ => panic!("{document:#}"),
            }
        })
        .collect()
}

fn run_rows(policy: &Policy, rows: &[Row], script_guest: &str, dns: &DnsServer) -> Vec<Outcome> {
    let statements = rows.iter().flat_map(Row::statements).zip(1..);
    let marked = statements.flat_map(|(statement, number)| [format!("{MARK}:{number}"), statement]);
    let run = Outport::run(guest::path(script_guest))
        .file("blocks.toml", BLOCKS)
        .dns(dns);
    let run = policy
        .author
        .iter()
        .fold(run.options(policy.operator), Outport::allow);
    outcomes(&run.args(marked).finish().expect_code(0))
}

/// The app itself and its components, as a URL spells them: what is asked, and the parts of the request.
const IN_THE_APP: &[(&str, &str)] = &[
    // As Spin's SDKs write it.
    ("/inner/hello", "- :80 /inner/hello"),
    ("http://self/inner/hello", "http self /inner/hello"),
    ("http://SELF./inner/hello", "http SELF. /inner/hello"),
    ("http://self.alt/inner/hello", "http self.alt /inner/hello"),
    (
        "http://Self.Alt:8080/inner/hello",
        "http Self.Alt:8080 /inner/hello",
    ),
    ("https://self/inner/hello", "https self /inner/hello"),
    ("https://self:8443/inner/hello", "https self:8443 /inner/hello"),
    ("http://self:3000/inner/hello", "http self:3000 /inner/hello"),
    ("http://:80/inner/hello", "http :80 /inner/hello"),
    (
        "http://back.spin.internal/hello",
        "http back.spin.internal /hello",
    ),
    (
        "http://BACK.Spin.internal./hello",
        "http BACK.Spin.internal. /hello",
    ),
    (
        "http://back.spin.internal:80/hello",
        "http back.spin.internal:80 /hello",
    ),
    (
        "http://back.spin.internal:8080/hello",
        "http back.spin.internal:8080 /hello",
    ),
    (
        "https://back.spin.internal/hello",
        "https back.spin.internal /hello",
    ),
    (
        "http://front.spin.internal/inner/hello",
        "http front.spin.internal /inner/hello",
    ),
    ("http://missing.spin.internal/", "http missing.spin.internal /"),
    ("http://x.back.spin.internal/", "http x.back.spin.internal /"),
    ("http://spin.internal/", "http spin.internal /"),
];

/// Author and operator of them.
const OF_THE_APP: &[(&[&str], &[&str])] = &[
    (&[], &[]),
    (&["http://self"], &[]),
    (&["https://self"], &[]),
    (&["http://self.alt"], &[]),
    (&["http://back.spin.internal"], &[]),
    (&["http://*.spin.internal"], &[]),
    (&["http://self:3000", "http://*.spin.internal:8080"], &[]),
    (&["http://*"], &[]),
    (&["https://*", "http://*:8080"], &[]),
    (&["*://*:*"], &[]),
    (&["*://*:*"], &["--disallowed-outbound-hosts=http://self"]),
    (
        &["*://*:*"],
        &["--disallowed-outbound-hosts=http://{self,back.spin.internal}"],
    ),
    (
        &["*://*:*"],
        &["--disallowed-outbound-hosts=*://*.spin.internal:*"],
    ),
    (&["*://*:*"], &["--disallowed-outbound-hosts=https://*"]),
    (&["*://*:*"], &["--disallowed-outbound-hosts=*://*:80"]),
    (
        &["http://self", "http://*.spin.internal"],
        &["--disallowed-outbound-hosts=http://*"],
    ),
];

// proves: AL-7, AL-10
#[test]
fn what_explain_says_of_the_app_itself_is_what_a_guest_gets() {
    let mut differences = Vec::new();
    for (author, operator) in OF_THE_APP {
        let list: Vec<String> = author.iter().map(|entry| format!("{entry:?}")).collect();
        let manifest = format!(
            "spin_manifest_version = 2\napplication.name = \"x\"\n\
             [[trigger.http]]\nroute = \"/front/...\"\ncomponent = \"front\"\n\
             [[trigger.http]]\nroute = \"/inner/...\"\ncomponent = \"back\"\n\
             [component.front]\nsource = \"GUESTS/http-script-guest.wasm\"\nallowed_outbound_hosts = [{}]\n\
             [component.back]\nsource = \"GUESTS/http-script-guest.wasm\"\n",
            list.join(", ")
        );
        let explained = Outport::command("explain")
            .manifest(&manifest)
            .options(*operator)
            .options(["--component=front", "--format=json"])
            .options(IN_THE_APP.iter().map(|(destination, _)| destination))
            .finish();
        let documents = serde_json::Deserializer::from_str(&explained.stdout).into_iter::<Value>();
        let documents: Vec<Value> = documents
            .map(|document| document.unwrap_or_else(|error| panic!("{error}\n{explained}")))
            .collect();
        assert_eq!(documents.len(), IN_THE_APP.len(), "{explained}");
        let app = Outport::up(&manifest).options(*operator).start();
        for ((destination, parts), document) in IN_THE_APP.iter().zip(documents) {
            let statement = format!("http.parts GET {parts}").replace(' ', "%20");
            let before = app.audit().len();
            let answer = app.get(&format!("/front/script?{statement}")).body;
            assert!(
                eventually(|| app.audit().len() > before),
                "{statement}: nobody judged it\n{app}"
            );
            let refused = answer.contains("=> HTTP-request-denied");
            let said: Vec<String> = app.audit()[before..]
                .iter()
                .filter(|line| line.denied())
                .map(AuditLine::reason)
                .collect();
            let expected: Vec<&str> = document["reason"].as_str().into_iter().collect();
            if said != expected || refused != (document["verdict"] == "denied") {
                differences.push(format!(
                    "{destination} ({author:?}, {operator:?}): {} {expected:?}, and the guest got {answer} {said:?}",
                    document["verdict"]
                ));
            }
        }
        app.stop().expect_code(0);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
