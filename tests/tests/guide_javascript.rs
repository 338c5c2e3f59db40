//! The guide for authors in JavaScript says what is so: its commands build its program, which reaches three servers by their
//! names, and each library that its table says works does the same in a component as on Node.js.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::guest::workspace;
use outport_e2e::http::{Closing, Origin};
use outport_e2e::javascript;
use outport_e2e::mariadb::MariaDb;
use outport_e2e::mosquitto::Mosquitto;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::postgres::Postgres;
use outport_e2e::redis::Redis;
use outport_e2e::typed::{self, Built};
use serde_json::Value;

/// What the program of the drivers uses beside the packages of the guide's.
const PACKAGES: [(&str, &str); 4] = [
    ("mqtt", "5.16.0"),
    ("mysql2", "3.24.6"),
    ("postgres", "3.4.9"),
    ("redis", "6.3.1"),
];

/// What the page's table says works, which is what the program of the drivers calls it.
const WORKING: [&str; 7] = ["pg", "postgres", "mysql2", "ioredis", "redis", "mqtt", "fetch"];

/// The files that the page has the text of.
const FILES: [&str; 8] = [
    "wit/world.wit",
    "package.json",
    "app.js",
    "build.mjs",
    "sockets.js",
    "crypto.js",
    "globals.js",
    "build_time.js",
];

const DRIVERS: [&str; 3] = ["drivers.js", "component.js", "native.js"];

fn guide() -> PathBuf {
    workspace().join("docs/guests/javascript")
}

fn page() -> String {
    fs::read_to_string(workspace().join("docs/guests/javascript.md")).unwrap()
}

/// The files of these names in the folder, with their contents.
fn read(folder: &Path, names: &[&str]) -> Vec<(String, String)> {
    let read = |name: &&str| ((*name).to_owned(), fs::read_to_string(folder.join(name)).unwrap());
    names.iter().map(read).collect()
}

/// The commands of the page, as they are typed: those that build, and the one that runs.
fn commands() -> (Vec<String>, String) {
    let page = page().replace("\\\n", " ");
    let typed = page.lines().filter_map(|line| line.strip_prefix("$ "));
    let mut typed: Vec<String> = typed.map(str::to_owned).collect();
    let run = typed.pop().unwrap();
    (typed, run)
}

/// The component of the drivers, built by the page's commands. None where there is no Node.js, which is said.
fn drivers() -> Option<Built> {
    tools()?;
    let mut files = read(&guide(), &FILES);
    files.extend(read(
        &workspace().join("tests/programs/javascript-drivers"),
        &DRIVERS,
    ));
    let (_, package) = files.iter_mut().find(|(name, _)| name == "package.json").unwrap();
    let mut wanted: Value = serde_json::from_str(package).unwrap();
    for (name, version) in PACKAGES {
        wanted["dependencies"][name] = version.into();
    }
    *package = wanted.to_string();
    let (mut build, _) = commands();
    let last = build.last_mut().unwrap();
    assert_eq!(last, "node build.mjs");
    last.push_str(" component.js");
    Some(typed::built("guide-javascript-drivers", &files, &build))
}

/// None where Node.js or npm is missing, which is said.
fn tools() -> Option<()> {
    let Err(missing) = javascript::tools() else {
        return Some(());
    };
    let reason = format!("SKIPPED: no component in JavaScript: {missing}\n");
    // Past the test harness, which would keep the words of a test that passes to itself.
    io::stderr()
        .write_all(reason.as_bytes())
        .expect("standard error is open");
    None
}

fn run(component: &Path) -> Outport {
    // Compiling it on a busy machine takes its time.
    Outport::run(component).within(Duration::from_secs(240))
}

#[test]
fn the_page_has_the_text_of_each_file() {
    let page = page();
    for (file, text) in read(&guide(), &FILES) {
        assert!(
            page.contains(&format!("\n{text}```\n")),
            "docs/guests/javascript.md shows another {file}"
        );
    }
}

#[test]
fn the_commands_of_the_page_build_its_program_which_reaches_three_servers_by_name() {
    if tools().is_none() {
        return;
    }
    let (build, start) = commands();
    let built = typed::built("guide-javascript", &read(&guide(), &FILES), &build);
    let (postgres, redis, dns) = (Postgres::start(), Redis::start(), DnsServer::start());
    let api = Origin::start_on("127.0.0.1:0", "hello", Closing::OnRequest);
    let servers = [
        ("db.example.com:5432", postgres.port()),
        ("cache.example.com:6379", redis.port()),
        ("api.example.com:80", api.address().port()),
    ];
    let mut words = start.clone();
    for (written, port) in servers {
        let (name, _) = written.split_once(':').unwrap();
        dns.answers(name, [Reply::addresses(["127.0.0.1"])]);
        assert!(words.contains(written), "{start}");
        words = words.replace(written, &format!("{name}:{port}"));
    }
    let words: Vec<&str> = words.split_whitespace().collect();
    let component = words.iter().position(|word| *word == "app.wasm").unwrap();
    let options = words[2..component].iter().map(|word| word.trim_matches('"'));
    let finished = run(&built.component)
        .options(options)
        .dns(&dns)
        .option("--allow-loopback-answers")
        .args(words[component + 1..].iter().copied())
        .finish()
        .expect_code(0);
    assert_eq!(finished.stdout, "PostgreSQL: 42\nRedis: green\nHTTP: hello\n");
}

#[test]
fn the_table_says_works_of_what_is_tested_and_of_nothing_else() {
    let page = page();
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let (library, works) = (cells.next()?, cells.next()?);
        works.starts_with("works").then_some(library.trim_matches('`'))
    });
    assert_eq!(rows.collect::<Vec<_>>(), WORKING);
}

#[test]
fn each_working_library_does_in_a_component_what_it_does_on_node() {
    let Some(built) = drivers() else {
        return;
    };
    let (postgres, redis, mariadb) = (Postgres::start(), Redis::start(), MariaDb::start());
    let mosquitto = Mosquitto::start();
    let origin = Origin::start_on("127.0.0.1:0", "hello", Closing::OnRequest);
    for library in WORKING {
        let port = match library {
            "pg" | "postgres" => postgres.port(),
            "mysql2" => mariadb.port(),
            "ioredis" | "redis" => redis.port(),
            "mqtt" => mosquitto.port(),
            _ => origin.address().port(),
        };
        let arguments = [library, "localhost", &port.to_string()].map(str::to_owned);
        let expected = on_node(&built, &arguments);
        assert!(expected.lines().count() >= 20, "{library}: {expected}");
        let finished = within(&built, &arguments);
        assert_eq!(finished.stdout, expected, "{library}: {finished}");
    }
}

fn within(built: &Built, arguments: &[String]) -> Finished {
    run(&built.component)
        .allow("*://localhost:1024-65535")
        .args(arguments)
        .finish()
        .expect_code(0)
}

/// What the program prints on Node.js.
fn on_node(built: &Built, arguments: &[String]) -> String {
    let output = Command::new("node")
        .arg(built.folder.join("native.js"))
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_server_that_is_not_listed_is_refused_and_the_program_told() {
    let Some(built) = drivers() else {
        return;
    };
    let redis = Redis::start();
    let port = redis.port().to_string();
    let finished = run(&built.component)
        .allow("*://db.example.com:5432")
        .args(["pg", "127.0.0.1", &port])
        .finish()
        .expect_code(1);
    assert!(
        finished.stderr.contains("EACCES: connect 127.0.0.1:"),
        "{finished}"
    );
    assert_eq!(finished.reasons(), ["allow.no-match"], "{finished}");
}

#[test]
fn numbers_of_the_build_stay_and_those_of_the_run_are_random() {
    let Some(built) = drivers() else {
        return;
    };
    let lines = [(); 2].map(|()| {
        run(&built.component)
            .args(["random"])
            .finish()
            .expect_code(0)
            .stdout
    });
    let words: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!((words[0][0], words[1][0]), ("0.5", "0.5"), "{lines:?}");
    assert_ne!(words[0][1], words[1][1], "{lines:?}");
}
