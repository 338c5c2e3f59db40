//! The sections of the manual that no option has: exit status, environment, files, and what to read next.
//!
//! `docs/operating.md` has the same for readers of the documentation, with what leads there; a test holds the variables of
//! its table against those here.

use clap_mangen::roff::{Inline, Roff, bold, roman};

/// The sections that follow the options on the page `title`.
pub(super) fn after_the_options(roff: &mut Roff, title: &str, all: &[String]) {
    entries(
        roff,
        "EXIT STATUS",
        exit_status(title).map(|(code, meaning)| (vec![*code], *meaning)),
    );
    if title == ROOT {
        entries(
            roff,
            "ENVIRONMENT",
            ENVIRONMENT
                .iter()
                .map(|(names, meaning)| (names.to_vec(), *meaning)),
        );
        entries(
            roff,
            "FILES",
            FILES.iter().map(|(file, meaning)| (vec![*file], *meaning)),
        );
    }
    see_also(roff, title, all);
}

/// A section in which each entry has terms, in bold, and says what they are.
fn entries<'t>(roff: &mut Roff, heading: &str, entries: impl Iterator<Item = (Vec<&'t str>, &'t str)>) {
    roff.control("SH", [heading]);
    for (terms, meaning) in entries {
        roff.control("TP", []);
        roff.text(separated(terms));
        roff.text([roman(meaning)]);
    }
}

/// The pages around a page: those of all commands on that of the program, which is on every other one.
fn see_also(roff: &mut Roff, title: &str, all: &[String]) {
    let others = all.iter().filter(|other| {
        let is_above = title.starts_with(&format!("{other}-"));
        let is_below = other
            .strip_prefix(title)
            .is_some_and(|rest| rest.starts_with('-'));
        is_above || is_below
    });
    let mut line = Vec::new();
    for other in others {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.extend([bold(other.as_str()), roman("(1)")]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text(line);
}

fn separated(terms: Vec<&str>) -> Vec<Inline> {
    let mut line = Vec::new();
    for term in terms {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.push(bold(term));
    }
    line
}

/// What the status of a command says, by the page of the command.
fn exit_status(title: &str) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let command = title.split('-').nth(1).unwrap_or_default();
    let own: &[_] = match command {
        "up" => &UP,
        "serve" => &SERVE,
        "run" => &RUN,
        "learn" => &LEARN,
        "trigger" => &TRIGGER,
        "check" => &CHECK,
        "explain" => &EXPLAIN,
        "inspect" => &INSPECT,
        _ => &DONE,
    };
    own.iter().chain(&ALL)
}

const ROOT: &str = "outport";

const ALL: [(&str, &str); 2] = [
    (
        "1",
        "The machine did not play along: an address is in use, a disk is full.",
    ),
    (
        "2",
        "Wrong usage, or something that cannot be used: a file that is missing or does not parse, an entry with a mistake.",
    ),
];
const DONE: [(&str, &str); 1] = [("0", "It was done.")];
const SERVE: [(&str, &str); 3] = [
    ("0", "Stopped as asked."),
    (
        "1",
        "Warnings under `--deny-warnings`, or a worker ended by a fault of Outport's own: the server finished what it was at.",
    ),
    ("130, 143", "Ended at once, by a second SIGINT or SIGTERM."),
];
const UP: [(&str, &str); 5] = [
    ("0", "Stopped as asked."),
    (
        "0-255",
        "Of an app with command triggers only: the first status of a command that is not 0.",
    ),
    (
        "1",
        "Warnings under `--deny-warnings`, or a worker ended by a fault of Outport's own: the server finished what it was at.",
    ),
    (
        "130, 143",
        "Ended by SIGINT or SIGTERM: an app with command triggers only, or a server at the second signal.",
    ),
    ("134", "Of an app with command triggers only: the guest trapped."),
];
const RUN: [(&str, &str); 4] = [
    ("0-255", "The guest's own."),
    (
        "1",
        "The guest ended with 0, but its output could not be written.",
    ),
    ("130, 143", "Ended by SIGINT or SIGTERM."),
    ("134", "The guest trapped."),
];
const LEARN: [(&str, &str); 2] = [
    ("0", "Logs were read, or the run ended well."),
    ("0-255", "Of a run: its own, as that of `up`, `run` or `serve`."),
];
const TRIGGER: [(&str, &str); 4] = [
    ("0", "The event was handled."),
    ("1", "The handler returned an error."),
    ("0-255", "Of a command: its own."),
    ("134", "The handler trapped, or ran out of time."),
];
const CHECK: [(&str, &str); 2] = [
    ("0", "Nothing but warnings."),
    ("1", "An error was found, or with `--deny-warnings` a warning."),
];
const EXPLAIN: [(&str, &str); 3] = [
    ("0", "The destination is allowed."),
    (
        "1",
        "The destination is denied; with `--diff`, the app reaches more than before.",
    ),
    ("3", "Whether it is denied depends on what its name resolves to."),
];
const INSPECT: [(&str, &str); 2] = [
    ("0", "The file can run."),
    ("1", "The file was read and cannot run."),
];

/// Beside the variables that stand for an option, which stand with that option.
pub(super) const ENVIRONMENT: [(&[&str], &str); 15] = [
    (
        &["OUTPORT_…"],
        "The option of that name, where it is not given: `OUTPORT_MAX_MEMORY` stands for `--max-memory`.",
    ),
    (
        &["OUTPORT_CONFIG"],
        "The configuration file, where `--config` does not name one; `outport config` shows what counts.",
    ),
    (
        &["OUTPORT_DISALLOWED_OUTBOUND_HOSTS"],
        "Further entries of `--disallowed-outbound-hosts`, with commas between.",
    ),
    (
        &["OUTPORT_LOG"],
        "What is logged: a level, or levels of modules, such as `outport_egress=debug,warn`.",
    ),
    (
        &[
            "SPIN_HTTP_LISTEN_ADDR",
            "RUNTIME_CONFIG_FILE",
            "SPIN_STATE_DIR",
            "SPIN_MAX_INSTANCE_MEMORY",
            "SPIN_TLS_CERT",
            "SPIN_TLS_KEY",
        ],
        "As with Spin: `--listen`, `--runtime-config-file`, `--state-dir`, `--max-memory` (in bytes), `--tls-cert`, \
         `--tls-key`, where neither the option nor a variable of Outport's is given.",
    ),
    (
        &[
            "LISTEN_FDS",
            "LISTEN_PID",
            "LISTEN_FDNAMES",
            "NOTIFY_SOCKET",
            "WATCHDOG_USEC",
            "WATCHDOG_PID",
        ],
        "How a service manager passes sockets, and is told what becomes of the process (sd_listen_fds(3), sd_notify(3)).",
    ),
    (
        &["SPIN_VARIABLE_…"],
        "Variables of the app, where `--variable` does not give them.",
    ),
    (
        &["CACHE_DIRECTORY", "XDG_CACHE_HOME", "HOME"],
        "Where compiled code and fetched code are kept, where `--cache-dir` is not given.",
    ),
    (
        &["DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"],
        "Where credentials for registries are.",
    ),
    (
        &["XDG_CONFIG_HOME"],
        "Where the settings of registries of packages are.",
    ),
    (
        &[
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_PROFILE",
            "AWS_SHARED_CREDENTIALS_FILE",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_ENDPOINT_URL_SQS",
            "AWS_ENDPOINT_URL",
        ],
        "By what right queues of SQS are asked.",
    ),
    (
        &[
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "ALL_PROXY",
            "NO_PROXY",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        ],
        "How code is fetched; the last two also whom guests' requests trust.",
    ),
    (&["OTEL_…"], "Traces, metrics and logs by OTLP."),
    (
        &["NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "TERM"],
        "Colours, unless `--color` says otherwise: none if the first is not empty, in any case if the second is not 0, none if \
         the third is 0 or the last is `dumb`.",
    ),
    (
        &["COLUMNS", "FORCE_HYPERLINK"],
        "How wide a terminal is that does not know it, and whether places lead to their files there.",
    ),
];

const FILES: [(&str, &str); 11] = [
    ("spin.toml", "The manifest of an app, version 2."),
    (
        ".env",
        "Beside the manifest: variables of the app, as `SPIN_VARIABLE_NAME=VALUE`.",
    ),
    ("outport.lock", "Beside the manifest: which packages were taken."),
    (
        "outport.test.toml",
        "Beside the manifest: tests of the policy, for `outport check`.",
    ),
    (
        ".spin",
        "Beside the manifest: its stores and databases, unless `--state-dir` says otherwise.",
    ),
    (
        "~/.cache/outport",
        "Compiled code, and what was fetched. Deleting it is always safe.",
    ),
    (
        "/etc/outport/outport.toml",
        "Of the Debian package: options of the operator for all apps, by `--config`.",
    ),
    (
        "/etc/default/outport, /etc/default/outport-NAME",
        "Of the Debian package: variables of the environment for all apps, and for one.",
    ),
    (
        "/etc/outport/apps/NAME",
        "Of the Debian package: the app that `outport@NAME.service` runs.",
    ),
    (
        "/var/lib/outport/NAME",
        "Of the Debian package: the stores and databases of that app.",
    ),
    (
        "/var/cache/outport/NAME",
        "Of the Debian package: its compiled code, and what was fetched for it.",
    ),
];
