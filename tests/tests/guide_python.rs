//! The guide for authors in Python says what is so: its commands build its program, which reaches three servers by their
//! names, and each library that its table says works does the same in a component as natively.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::guest::workspace;
use outport_e2e::http::{Closing, Origin};
use outport_e2e::mariadb::MariaDb;
use outport_e2e::mosquitto::Mosquitto;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::postgres::Postgres;
use outport_e2e::python;
use outport_e2e::python_server::PythonServer;
use outport_e2e::redis::Redis;
use outport_e2e::typed;

const PACKAGES: [&str; 12] = [
    "aiohttp==3.14.5",
    "aiomqtt==2.5.1",
    "aiomysql==0.3.2",
    "gmqtt==0.8.0",
    "httpx==0.28.1",
    "mysql-connector-python==26.10.0",
    "paho-mqtt==2.2.0",
    "pg8000==1.31.6",
    "PyMySQL==1.2.4",
    "redis==8.1.0",
    "requests==2.34.2",
    "urllib3==2.8.0",
];

/// What the program of the drivers calls what the page's table says works.
const WORKING: [(&str, &[&str]); 14] = [
    ("`redis`", &["redis", "redis_asyncio"]),
    ("`pg8000`", &["pg8000", "pg8000_dbapi"]),
    ("`PyMySQL`", &["pymysql"]),
    ("`aiomysql`", &["aiomysql"]),
    ("`mysql-connector-python`", &["mysql_connector"]),
    ("`paho-mqtt`", &["paho"]),
    ("`aiomqtt`", &["aiomqtt"]),
    ("`gmqtt`", &["gmqtt"]),
    ("`requests`", &["requests"]),
    ("`urllib3`", &["urllib3"]),
    ("`httpx`", &["httpx", "httpx_async"]),
    ("`aiohttp`", &["aiohttp"]),
    ("`smtplib`", &["smtplib"]),
    ("`ftplib`", &["ftplib"]),
];

/// The files that the page has the text of.
const FILES: [&str; 5] = [
    "wit/world.wit",
    "requirements.txt",
    "program.py",
    "guest_loop.py",
    "no_tls.py",
];

fn guide() -> PathBuf {
    workspace().join("docs/guests/python")
}

fn page() -> String {
    fs::read_to_string(workspace().join("docs/guests/python.md")).unwrap()
}

/// The commands of the page, as they are typed.
fn commands() -> Vec<String> {
    let page = page().replace("\\\n", " ");
    let typed = page.lines().filter_map(|line| line.strip_prefix("$ "));
    typed.map(str::to_owned).collect()
}

fn drivers() -> PathBuf {
    python::guide_component("tests/programs/python_drivers.py", &PACKAGES)
}

fn run(component: &Path) -> Outport {
    // Compiling it on a busy machine takes its time.
    Outport::run(component).within(Duration::from_secs(240))
}

#[test]
fn the_page_has_the_text_of_each_file() {
    let page = page();
    for file in FILES {
        let text = fs::read_to_string(guide().join(file)).unwrap();
        assert!(
            page.contains(&format!("\n{text}```\n")),
            "docs/guests/python.md shows another {file}"
        );
    }
}

#[test]
fn the_commands_of_the_page_build_its_program_which_reaches_three_servers_by_name() {
    let commands = commands();
    let (start, build) = commands.split_last().unwrap();
    let files = FILES.map(|file| (file.to_owned(), fs::read_to_string(guide().join(file)).unwrap()));
    let built = typed::built("guide-python", &files, build);
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
    let (options, arguments) = words
        .split_once_at("app.wasm")
        .expect("the last command runs the component");
    let options = options.iter().skip(2).map(|word| word.trim_matches('"'));
    let finished = run(&built.component)
        .options(options)
        .dns(&dns)
        .option("--allow-loopback-answers")
        .args(arguments.iter().copied())
        .finish()
        .expect_code(0);
    assert_eq!(finished.stdout, "PostgreSQL: 42\nRedis: green\nHTTP: hello\n");
}

/// Two parts of a list, without what divides it.
trait SplitOnceAt {
    fn split_once_at(&self, word: &str) -> Option<(&Self, &Self)>;
}

impl SplitOnceAt for [&str] {
    fn split_once_at(&self, word: &str) -> Option<(&Self, &Self)> {
        let at = self.iter().position(|one| *one == word)?;
        Some((&self[..at], &self[at + 1..]))
    }
}

#[test]
fn the_table_says_works_of_what_is_tested_and_of_nothing_else() {
    let page = page();
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let (library, works) = (cells.next()?, cells.next()?);
        works.starts_with("works").then_some(library)
    });
    let tested = WORKING.map(|(library, _)| library);
    assert_eq!(rows.collect::<Vec<_>>(), tested);
}

#[test]
fn each_working_library_does_in_a_component_what_it_does_natively() {
    let (postgres, redis, mariadb) = (Postgres::start(), Redis::start(), MariaDb::start());
    let (mosquitto, smtp, ftp) = (Mosquitto::start(), PythonServer::smtp(), PythonServer::ftp());
    let origin = Origin::start_on("127.0.0.1:0", "hello", Closing::OnRequest);
    let component = drivers();
    for (library, commands) in WORKING {
        for command in commands {
            let port = match *command {
                "redis" | "redis_asyncio" => redis.port(),
                "pg8000" | "pg8000_dbapi" => postgres.port(),
                "pymysql" | "aiomysql" | "mysql_connector" => mariadb.port(),
                "paho" | "aiomqtt" | "gmqtt" => mosquitto.port(),
                "smtplib" => smtp.port(),
                "ftplib" => ftp.port(),
                _ => origin.address().port(),
            };
            let arguments = [*command, "localhost", &port.to_string()].map(str::to_owned);
            let expected = natively(&arguments);
            assert!(expected.lines().count() >= 20, "{library}: {expected}");
            let finished = within(&component, &arguments);
            assert_eq!(finished.stdout, expected, "{library}: {finished}");
        }
    }
}

fn within(component: &Path, arguments: &[String]) -> Finished {
    run(component)
        .allow("*://localhost:1024-65535")
        .args(arguments)
        .finish()
        .expect_code(0)
}

/// What the program prints on the machine's own Python.
fn natively(arguments: &[String]) -> String {
    let output = Command::new(python::interpreter("guide-drivers-1", &PACKAGES))
        .arg(workspace().join("tests/programs/python_drivers.py"))
        .args(arguments)
        .env("PYTHONPATH", guide())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_usual_loop_wants_a_listener_and_gets_none() {
    let finished = run(&drivers()).args(["usual-loop"]).finish().expect_code(1);
    assert_eq!(finished.stdout, "PermissionError: [Errno 2] Permission denied\n");
    assert_eq!(finished.reasons(), ["hard.bind"]);
}

#[test]
fn what_was_imported_and_read_at_build_time_stays_and_random_numbers_do_not() {
    let component = drivers();
    let lines = [(); 2].map(|()| {
        let started = run(&component)
            .options(["--env", "GREETING=hello"])
            .args(["built"]);
        started.finish().expect_code(0).stdout
    });
    let words: Vec<Vec<&str>> = lines
        .iter()
        .map(|text| text.lines().last().unwrap().split(' ').collect())
        .collect();
    assert!(
        lines[0].starts_with("No module named 'colorsys'\ncan't start new thread\nTrue "),
        "{lines:?}"
    );
    assert_eq!((words[0][1], words[0][3]), (words[1][1], "hello"), "{lines:?}");
    assert_ne!(words[0][2], words[1][2], "{lines:?}");
}
