//! What text looks like: colours, width, places that lead to files, and what is shown while somebody waits.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use outport_e2e::checked::{self, entries};
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::slow_component::slow_component;

/// An app with a finding whose message is longer than a line.
fn check() -> Outport {
    checked::check(&entries("\"*://example.com:*\"")).deny("*://example.com:8080,*://a.example.com:1")
}

const COLOUR: &str = "\u{1b}[1;";

#[track_caller]
fn coloured(finished: &Finished, expected: bool) {
    let text = format!("{}{}", finished.stdout, finished.stderr);
    assert_eq!(text.contains(COLOUR), expected, "{finished}");
}

#[test]
fn colours_are_for_terminals_unless_somebody_says_otherwise() {
    let always = |check: Outport| check.variable("NO_COLOR", "").option("--color=always");
    coloured(&check().variable("NO_COLOR", "").finish(), false);
    coloured(&check().in_terminal(80).finish(), true);
    coloured(&always(check()).finish(), true);
    // An option counts more than what the environment says of all programs.
    coloured(
        &check()
            .variable("NO_COLOR", "1")
            .option("--color=always")
            .finish(),
        true,
    );
    coloured(&check().in_terminal(80).option("--color=never").finish(), false);
    coloured(&check().in_terminal(80).variable("NO_COLOR", "1").finish(), false);
    coloured(&check().in_terminal(80).variable("CLICOLOR", "0").finish(), false);
    coloured(&check().in_terminal(80).variable("TERM", "dumb").finish(), false);
    let forced = check().variable("NO_COLOR", "").variable("CLICOLOR_FORCE", "1");
    coloured(&forced.finish(), true);
    // As every option it is a variable and a key.
    coloured(&check().variable("OUTPORT_COLOR", "always").finish(), true);
    let file = check()
        .file("outport.toml", "color = \"always\"\n")
        .option("--config=outport.toml");
    coloured(&file.finish(), true);
    let both = check()
        .variable("OUTPORT_COLOR", "always")
        .option("--color=never");
    coloured(&both.finish(), false);
    // Programs get none.
    for format in ["--format=json", "--format=sarif"] {
        coloured(&always(check()).option(format).finish(), false);
    }
}

#[test]
fn what_the_parser_says_is_coloured_by_the_same_rule() {
    // The colours of the parser.
    let is_coloured =
        |finished: Finished| format!("{}{}", finished.stdout, finished.stderr).contains("\u{1b}[");
    for words in [&["--bogus"][..], &["--help"], &["--max-memory=x"]] {
        let up = |color: &'static str| {
            Outport::command("up")
                .options(words.iter().copied())
                .option(color)
        };
        assert!(is_coloured(up("--color=always").finish()), "{words:?}");
        assert!(
            !is_coloured(up("--color=never").in_terminal(80).finish()),
            "{words:?}"
        );
        assert!(!is_coloured(up("--color=auto").finish()), "{words:?}");
    }
    let wrong = Outport::command("up")
        .option("--color=red")
        .finish()
        .expect_code(2);
    assert!(
        wrong.stderr.contains("[possible values: auto, always, never]"),
        "{wrong}"
    );
    // What is behind the component of `run` is the guest's.
    let run = Outport::run("none.wasm")
        .args(["--color=always"])
        .finish()
        .expect_code(2);
    coloured(&run, false);
}

fn widest(text: &str) -> usize {
    let lines = text.lines().map(|line| line.trim_end().chars().count());
    lines.max().unwrap_or(0)
}

#[test]
fn reports_and_messages_are_as_wide_as_the_terminal_within_bounds() {
    let plain = |outport: Outport| outport.option("--color=never");
    let report = |columns| plain(check()).in_terminal(columns).finish().expect_code(0).stdout;
    for (columns, most) in [(50, 50), (20, 40), (300, 100)] {
        let text = report(columns);
        assert!(widest(&text) <= most, "{columns}\n{text}");
    }
    assert!(report(50).lines().count() > report(300).lines().count());
    // Nobody says how wide the terminal is, but the shell.
    let told = plain(check()).in_terminal(0).variable("COLUMNS", "50").finish();
    assert_eq!(told.stdout, report(50));
    // A message, and what is explained.
    let message = |columns| {
        let up = Outport::command("up").option("--from=/nowhere/at/all");
        plain(up).in_terminal(columns).finish().expect_code(2).stdout
    };
    assert!(widest(&message(60)) <= 60, "{}", message(60));
    assert!(message(60).lines().count() > message(300).lines().count());
    let code = |columns| {
        let explain = Outport::command("explain").option("allow.name-not-looked-up");
        plain(explain).in_terminal(columns).finish().expect_code(0).stdout
    };
    assert!(
        widest(&code(60)) <= 60 && widest(&code(300)) > 80,
        "{}",
        code(300)
    );
}

#[test]
fn places_lead_to_their_files_where_the_terminal_can() {
    let check = || check().in_terminal(100).variable("FORCE_HYPERLINK", "1");
    let finished = check().finish();
    let place = "\u{1b}]8;;file://";
    assert!(finished.stdout.contains(place), "{finished}");
    let address = finished.stdout.split(place).nth(1).unwrap();
    let (address, shown) = address.split_once("\u{1b}\\").unwrap();
    assert!(
        address.ends_with("/spin.toml") && address.starts_with(|c| c != '/'),
        "{address}"
    );
    assert!(shown.starts_with("spin.toml:"), "{shown}");
    // `--color never` is for text without any sequences.
    let never = check().option("--color=never").finish();
    assert!(!never.stdout.contains('\u{1b}'), "{never}");
    let not = check().variable("FORCE_HYPERLINK", "0").finish();
    assert!(!not.stdout.contains("\u{1b}]8"), "{not}");
}

#[test]
fn who_waits_for_a_compiler_sees_what_it_compiles() {
    let up = |component| {
        let manifest = "spin_manifest_version = 2\napplication.name = \"slow\"\n[[trigger.http]]\nroute = \"/\"\ncomponent = \
                        { source = \"slow.wasm\" }\n";
        Outport::up("")
            .manifest(manifest)
            .file("slow.wasm", component)
            .option("--max-compile-time=2500ms")
    };
    let finished = up(slow_component(510, 500))
        .in_terminal(80)
        .finish()
        .expect_code(2);
    for part in [
        "Compiling `slow.wasm` (",
        "KiB)… 0 s",
        "KiB)… 1 s",
        "Compiled `slow.wasm` (",
    ] {
        assert!(finished.stdout.contains(part), "no `{part}`\n{finished}");
    }
    // Elsewhere a line, once; of all that there is to say, at once.
    let finished = up(slow_component(511, 500)).finish().expect_code(2);
    assert_eq!(
        finished.stderr.matches("note: compiling `slow.wasm` (").count(),
        1,
        "{finished}"
    );
    let verbose = up(slow_component(512, 500)).option("-v").finish().expect_code(2);
    assert!(
        verbose.stderr.contains("debug: outport_runtime::compiler"),
        "{verbose}"
    );
    let quiet = up(slow_component(513, 500))
        .option("-q")
        .in_terminal(80)
        .finish()
        .expect_code(2);
    assert!(!quiet.stdout.contains("Compil"), "{quiet}");
}
