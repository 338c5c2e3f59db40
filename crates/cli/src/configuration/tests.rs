//! The order of the places. What the environment says is tested from outside: it is one for the whole process.

use clap::Parser;

use super::*;

fn words(line: &[&str]) -> Vec<OsString> {
    let line = ["outport"].into_iter().chain(line.iter().copied());
    line.map(OsString::from).collect()
}

/// The options as they are read from a line and a file.
fn read_with(line: &[&str], file: &str) -> Result<Given, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outport.toml");
    std::fs::write(&path, file).unwrap();
    let config = format!("--config={}", path.display());
    let line: Vec<&str> = [config.as_str()]
        .into_iter()
        .chain(line.iter().copied())
        .collect();
    match read_line(words(&line), &mut Files::default()) {
        Ok(read) => Ok(read.given),
        Err(Unread::Line(error)) => Err(error.to_string()),
        Err(Unread::Given(failure)) => Err(format!("{failure:?}")),
    }
}

fn arguments(given: &Given, option: &str) -> Vec<String> {
    let settings = given.settings(option).filter_map(Setting::argument);
    settings.map(|argument| argument.into_string().unwrap()).collect()
}

#[test]
fn the_command_and_what_is_behind_it_are_found() {
    let program = CommandLine::command();
    let rows: [(&[&str], &str, usize); 8] = [
        (&["up"], "up", 2),
        (&["-q", "up", "--listen=a", "dir"], "up", 3),
        (&["--config", "up", "run", "a.wasm", "up"], "run", 4),
        (&["--config=x", "-v", "run", "--", "a.wasm"], "run", 4),
        (&["trigger", "cron", "web"], "cron", 3),
        (&["-v", "trigger", "-q", "cron", "web"], "cron", 5),
        (&["trigger"], "trigger", 2),
        (&["nothing"], "outport", 0),
    ];
    for (line, name, at) in rows {
        let (command, found) = place_behind_the_command(&program, &words(line));
        assert_eq!((command.get_name(), found), (name, at), "{line:?}");
    }
}

#[test]
fn what_is_typed_counts_before_the_file_and_lists_are_joined() {
    let file = "max-memory = '64M'\nallow-udp = true\ndns-server = ['9.9.9.9', '9.9.9.10']\n";
    let given = read_with(&["up", "--max-memory=32M", "--dns-server=1.1.1.1"], file).unwrap();
    assert_eq!(arguments(&given, "max-memory"), [""; 0]);
    assert!(given.is_typed("max-memory") && !given.is_typed("allow-udp"));
    assert_eq!(arguments(&given, "allow-udp"), ["--allow-udp"]);
    assert_eq!(
        arguments(&given, "dns-server"),
        ["--dns-server=9.9.9.9", "--dns-server=9.9.9.10"]
    );
    let places: Vec<String> = given
        .locations("dns-server")
        .take(3)
        .map(|at| at.to_string())
        .collect();
    assert!(places[0].ends_with("outport.toml:3:16"), "{places:?}");
    assert!(places[1].ends_with("outport.toml:3:27"), "{places:?}");
    assert_eq!(places[2], "--dns-server");
    // Typed for the guest, not for Outport.
    let given = read_with(&["run", "a.wasm", "--max-memory=32M"], file).unwrap();
    assert_eq!(arguments(&given, "max-memory"), ["--max-memory=64M"]);
    // What a command does not have is left out.
    let given = read_with(&["update"], file).unwrap();
    assert_eq!(arguments(&given, "max-memory"), [""; 0]);
}

#[test]
fn rules_between_options_hold_as_if_typed() {
    let told = read_with(&["up"], "audit-required = true").unwrap_err();
    assert!(told.contains("--audit-log <FILE>"), "{told}");
    assert!(told.contains("`--audit-required` is said by"), "{told}");
    assert!(told.contains("outport.toml:1:18"), "{told}");
    read_with(&["up", "--audit-log=a"], "audit-required = true").unwrap();
    read_with(&["up", "--audit-required"], "audit-log = 'a'").unwrap();
    let told = read_with(&["up", "--audit-required"], "").unwrap_err();
    assert!(
        told.contains("--audit-log <FILE>") && !told.contains("is said by"),
        "{told}"
    );
    // What says something of another one is in vain without it.
    let given = read_with(&["up"], "admin-host = ['a.test']\naccess-log-format = 'json'").unwrap();
    assert_eq!(arguments(&given, "admin-host"), [""; 0]);
    let told = read_with(&["up", "--admin-host=a.test"], "").unwrap_err();
    assert!(told.contains("--admin-listen"), "{told}");
}

#[test]
fn what_is_missing_on_the_command_line_is_nobody_elses_fault() {
    let file = "max-memory = '64M'\nallow-udp = true\nno-resolve-disallowed = true";
    for line in [&["run"][..], &["pull"], &["serve"]] {
        let told = read_with(line, file).unwrap_err();
        assert!(
            told.contains("not provided") && !told.contains("is said by"),
            "{told}"
        );
    }
}

#[test]
fn the_place_of_a_conflict_is_found_at_once_beside_a_long_list() {
    let list = "'*://a.test:*',".repeat(20_000);
    let file = format!("disallowed-outbound-hosts = [{list}]\naudit-required = true");
    let began = std::time::Instant::now();
    let told = read_with(&["up"], &file).unwrap_err();
    assert!(told.contains("outport.toml:2:18"), "{told}");
    assert!(!told.contains("`--disallowed"), "{told}");
    assert!(began.elapsed() < std::time::Duration::from_secs(30));
}

#[test]
fn a_mistake_on_the_command_line_is_told_before_the_file_is_read() {
    let told = read_with(&["up", "--max-memory=1"], "max-memry = 1").unwrap_err();
    assert!(told.contains("invalid value '1' for '--max-memory"), "{told}");
    let told = read_with(&["up", "--help"], "max-memry = 1").unwrap_err();
    assert!(told.contains("Usage"), "{told}");
    read_with(&["completions", "bash"], "max-memry = 1").unwrap();
}

#[test]
fn a_hidden_option_is_not_set() {
    let given = read_with(&["push", "a.example/b"], "require-digest = true").unwrap();
    assert_eq!(arguments(&given, "require-digest"), [""; 0]);
    let given = read_with(&["pull", "a.example/b"], "require-digest = true").unwrap();
    assert_eq!(arguments(&given, "require-digest"), ["--require-digest"]);
}

#[test]
fn a_typed_option_is_read_without_a_file() {
    let line = CommandLine::try_parse_from(["outport", "up", "--config", "x"]).unwrap();
    assert_eq!(line.config, Some("x".into()));
}
