//! Rows of the escape suite, tried by a guest in a pod: what Outport decides does not depend on where it runs.
//!
//! The suite is `tests/tests/escapes`, and so are what is tried, what has to come of it and who compares. Here each policy
//! is a container, all of them in one pod, in whose network namespace private, metadata and public addresses exist, with a
//! listener at every port and a name server.

#![allow(
    dead_code,
    reason = "modules of the suite, of which it uses what is not used here"
)]

#[path = "../escapes/attempts.rs"]
mod attempts;
#[path = "../escapes/hello.rs"]
mod hello;
#[path = "../escapes/outside.rs"]
mod outside;
#[path = "../escapes/service.rs"]
mod service;
#[path = "../escapes/table.rs"]
mod table;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use outport_e2e::audit::AuditLine;
use outport_e2e::dns::DnsServer;
use outport_e2e::http;
use outport_e2e::network::ADDRESSES;

use self::attempts::{Counts, Round, answer, manifest, written};
use self::outside::Outside;
use self::table::{File, World};
use super::*;

/// Files of the table that are tried: where addresses, names and requests lead, which is what a network is about.
const FILES: [&str; 4] = ["addresses", "grants", "names", "requests"];

/// The guest of the suite for WASI 0.2.
const GUEST: &str = "http-script-guest";

/// A policy of the suite, and the image that is an app with it.
struct Row {
    name: String,
    world: World,
    image: String,
}

/// The worlds of the files, each as one of WASI 0.2.
fn rows() -> Vec<Row> {
    let files = File::all().into_iter();
    let worlds = files
        .filter(|(name, _)| FILES.contains(&name.as_str()))
        .flat_map(|(name, file)| file.world.into_iter().map(move |world| (name.clone(), world)));
    worlds
        .filter(|(_, world)| world.guest.is_none() && world.environment.is_empty())
        .enumerate()
        .map(|(number, (name, world))| Row {
            name: format!("{name}: {}", world.name),
            image: format!("escapes-{number}"),
            world,
        })
        .collect()
}

impl Row {
    fn image(&self) -> Image {
        let only = BTreeMap::from([("it".to_owned(), self.world.allow.clone())]);
        let components = if self.world.components.is_empty() {
            &only
        } else {
            &self.world.components
        };
        let source = format!("{GUEST}.wasm");
        Image::app(&self.image, &manifest(components, Path::new(&source)), GUEST)
    }

    /// Starts it, plays it, and stops it.
    fn play(
        &self,
        pod: &Pod<'_>,
        listen: SocketAddr,
        dns: &DnsServer,
        outside: &Outside,
    ) -> (Counts, Vec<String>) {
        answer(dns, &self.world.dns);
        let deny = self.world.deny.iter();
        let options = [
            "/spin.toml".to_owned(),
            "--audit-log=-".to_owned(),
            "--max-instance-reuse-count=1".to_owned(),
            format!("--dns-server={}", dns.address()),
        ];
        let options = options.into_iter().chain(self.world.options.iter().cloned());
        let options: Vec<String> = options
            .chain(deny.map(|entry| format!("--disallowed-outbound-hosts={entry}")))
            .collect();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let wanted = Wanted::image(&self.image).command(&options);
        let app = pod.run(wanted.variable("SPIN_HTTP_LISTEN_ADDR", &listen.to_string()));
        until(format_args!("{} serves", self.name), || {
            assert_ne!(app.status().state, cri::EXITED, "{}", app.logs());
            app.logs().contains("Serving http://")
        });
        let ask = |component: &str, script: &str| {
            let response = http::send(listen, &written(listen, component, script));
            let response = response.unwrap_or_else(|error| panic!("{script}: {error}\n{}", app.logs()));
            (response.status, response.body)
        };
        let round = Round::play(&self.world, "0.2", &ask, dns, outside);
        app.stop(20);
        let log = pod.node.path(&format!("{}.audit", self.image));
        let logs = app.logs();
        let lines: Vec<&str> = logs.lines().filter(|line| line.starts_with('{')).collect();
        fs::write(&log, lines.join("\n") + "\n").expect("a file of our own");
        let audit = AuditLine::read(&log);
        round.compare(&audit, outside)
    }
}

#[test]
fn main_rows_of_the_escape_suite_end_in_a_pod_as_they_do_outside() {
    let rows = rows();
    if let Some(pod) = Pod::around() {
        return play_all(&pod, &rows);
    }
    let Some(node) = Node::shared() else { return };
    assert!(rows.len() > 10, "{}", rows.len());
    let images: Vec<Image> = rows.iter().map(Row::image).collect();
    node.import("escapes", &images);
    // Options of each policy stand in the arguments of its container.
    let pod = Pod::annotated(node, HANDLER, TRUSTED);
    for address in ADDRESSES {
        let mut words = vec!["ip", "address", "add", address, "dev", "lo"];
        if address.contains(':') {
            words.push("nodad");
        }
        let added = pod.inside(&words).output().expect("ip (package iproute2)");
        assert!(
            added.status.success(),
            "{}",
            String::from_utf8_lossy(&added.stderr)
        );
    }
    let test = "containers::escapes::main_rows_of_the_escape_suite_end_in_a_pod_as_they_do_outside";
    let output = pod.run_inside(test);
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn play_all(pod: &Pod<'_>, rows: &[Row]) {
    let (outside, mut sum, mut complaints) = (Outside::open(), Counts::default(), Vec::new());
    for (row, port) in rows.iter().zip(19_000..) {
        let dns = DnsServer::start();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (counts, found) = row.play(pod, listen, &dns, &outside);
        sum.add(counts);
        complaints.extend(found.into_iter().map(|what| format!("{}: {what}", row.name)));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(sum.denied > 100 && sum.through > 20 && sum.arrived > 20, "{sum}");
}
