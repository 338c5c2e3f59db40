use clap::CommandFactory;
use outport_check::{Colours, Renderer};

use super::*;
use crate::CommandLine;

fn keys() -> Keys {
    Keys::of(&CommandLine::command())
}

/// What a file with this text says, or the messages about it.
fn read(text: impl AsRef<[u8]>) -> Result<Vec<(String, Word)>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outport.toml");
    std::fs::write(&path, text).unwrap();
    let mut files = Files::default();
    let read = ConfigurationFile::read(&path, Location::Code, &keys(), &mut files);
    let place = folder.path().display().to_string() + "/";
    match read {
        Ok(file) => Ok(file
            .settings
            .iter()
            .map(|setting| (setting.option().to_owned(), setting.word().clone()))
            .collect()),
        Err(wrong) => {
            let renderer = Renderer::messages(Colours::Plain);
            let all: String = wrong
                .iter()
                .map(|wrong| renderer.render(wrong, files.sources()))
                .collect();
            Err(all.replace(&place, ""))
        }
    }
}

#[test]
fn values_are_what_would_be_typed() {
    let text = |text: &str| Word::Text(text.into());
    let rows: [(&str, &[(&str, Word)]); 9] = [
        ("", &[]),
        ("\u{feff}max-memory = '64M'", &[("max-memory", text("64M"))]),
        ("max-memory = 67108864", &[("max-memory", text("67108864"))]),
        ("allow-udp = true", &[("allow-udp", Word::On)]),
        ("allow-udp = false", &[("allow-udp", Word::Off)]),
        ("max-requests = 7", &[("max-requests", text("7"))]),
        (
            "allow-loopback-ports = [53, '80-90']",
            &[
                ("allow-loopback-ports", text("53")),
                ("allow-loopback-ports", text("80-90")),
            ],
        ),
        ("dns-server = []", &[]),
        (
            "audit-log = '-'\nstate-dir = ''",
            &[("audit-log", text("-")), ("state-dir", text(""))],
        ),
    ];
    for (file, expected) in rows {
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, word)| ((*name).to_owned(), word.clone()))
            .collect();
        assert_eq!(read(file), Ok(expected), "{file}");
    }
}

#[test]
fn a_path_starts_at_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outport.toml");
    let text = "audit-log = 'a.jsonl'\nstate-dir = '/var/lib/x'\nsqlite = ['@init.sql:orders', 'SELECT 1']\n";
    std::fs::write(&path, text).unwrap();
    let file = ConfigurationFile::read(&path, Location::Code, &keys(), &mut Files::default()).unwrap();
    let arguments = file.settings.iter().filter_map(Setting::argument);
    let arguments: Vec<String> = arguments
        .map(|argument| argument.into_string().unwrap())
        .collect();
    let place = folder.path().display();
    assert_eq!(
        arguments,
        [
            format!("--audit-log={place}/a.jsonl"),
            "--state-dir=/var/lib/x".into(),
            format!("--sqlite=@{place}/init.sql:orders"),
            "--sqlite=SELECT 1".into(),
        ]
    );
}

#[test]
fn a_mistake_is_told_with_its_place_and_what_to_do() {
    let rows: [(&str, &[&str]); 20] = [
        (
            "max-memry = '64M'",
            &[
                "there is no option `max-memry`",
                "outport.toml:1:1",
                "^^^^^^^^^",
                "`max-memory`",
            ],
        ),
        (
            "max_memory = '64M'",
            &["there is no option `max_memory`", "did you mean `max-memory`?"],
        ),
        ("OUTPORT_MAX_MEMORY = '64M'", &["did you mean `max-memory`?"]),
        (
            "max-memory = '64X'",
            &["the value of `max-memory` cannot be used", "outport.toml:1:15"],
        ),
        (
            "max-memory = [1]",
            &["`max-memory` must be a string or a whole number, not an array"],
        ),
        (
            "max-requests = '7'",
            &["`max-requests` must be a whole number, not a string"],
        ),
        ("max-requests = 0", &["write a whole number from 1 to 10000"]),
        ("max-requests = 1.5", &["not a number with a fraction"]),
        ("grace = 10", &["did you mean `10s`?"]),
        (
            "allow-udp = 1",
            &["`allow-udp` must be `true` or `false`, not a whole number"],
        ),
        (
            "allow-udp = 'true'",
            &["`allow-udp` must be `true` or `false`, not a string"],
        ),
        (
            "dns-server = '9.9.9.9'",
            &["must be an array of strings, not a string", "dns-server = [ … ]"],
        ),
        (
            "dns-server = ['a', true]",
            &["item 2 of `dns-server` must be a string, not `true` or `false`"],
        ),
        (
            "kernel-sandbox = 'maybe'",
            &["`maybe` is none of `off`, `on` and `required`"],
        ),
        (
            "env = ['A=b']",
            &["`env` is no key of a configuration file", "for its author to say"],
        ),
        ("config = 'other.toml'", &["one file names no other"]),
        (
            "[outbound_networking]\nallow_udp = true",
            &["`outbound_networking`", "`runtime-config-file`"],
        ),
        (
            "[limits]\nmax-memory = '1M'",
            &["there is no option `limits`", "without tables"],
        ),
        ("\"a\\u001b[31m\" = 1", &["there is no option `a\\u{1b}[31m`"]),
        (
            "max-memory = '1M'\nmax-memory = '2M'",
            &["`max-memory` is given twice", "outport.toml:2:1"],
        ),
    ];
    for (file, parts) in rows {
        let told = read(file).unwrap_err();
        for part in parts {
            assert!(told.contains(part), "{file}: no `{part}` in\n{told}");
        }
        assert!(!told.contains('\u{1b}'), "{file}");
    }
}

#[test]
fn several_mistakes_are_told_at_once_in_their_order() {
    let told = read("max-memry = 1\nallow-udp = 'x'\nmax-requests = 0\nx = [\n").unwrap_err();
    let lines: Vec<&str> = told
        .lines()
        .filter_map(|line| line.trim().strip_prefix("--> outport.toml:")?.split(':').next())
        .collect();
    assert_eq!(lines, ["1", "2", "3", "4"], "{told}");
}

#[test]
fn what_is_secret_is_not_quoted_whatever_is_wrong_beside_it() {
    for file in [
        "key-value = ['a=hunter2', 7]",
        "key-value = 'a=hunter2'",
        "key-value = ['a=hunter2'\nx = ",
        "key-value = [\n  7, 'a=hunter2',\n]",
        "key-value = [\n  'pw=hunter2', 7\n]",
        "key_value = ['a=hunter2']",
        "kye-value = ['a=hunter2']",
        "sqlite = \"UPDATE t SET p = 'hunter2'\"",
        "sqlite = \"\"\"\nUPDATE t SET\n p = 'hunter2'\"\"\"",
        "dns-server = ['redis://me:hunter2@a.test', 7]",
        "audit-log = 'https://me:hunter2@a.test' 7",
        "token = 'hunter2'",
        "listen = 'http://me:hunter2@a.test'",
        "key-value = [\"\"\"\nmax-memory = hunter2\n[hunter2]\nhunter2 = 1\n\"\"\", 7]",
        "key-value = [\"\"\"\nmax-memory = hunter2\n[hunter2]\nhunter2 = 1\nhunter2\n",
        "key-value = ['a=hunter2]\nlisten = 1",
        "key-value = ['''\nkernel-sandbox = 'hunter2'\nx",
        "OUTPORT_KEY_VALUE = ['a=hunter2', 7]",
        "key-values = ['a=hunter2']",
        "kv = ['a=hunter2']",
        "\"key\\u002dvalue\" = ['a=hunter2', 7]",
        "\"key-value\" = 'hunter2'",
        "key-value\n= ['a=hunter2']",
        "allow-udp = true key-value = ['a=hunter2']",
        "x = 1, key-value = ['a=hunter2']",
        "x = { key-value = ['a=hunter2'] }",
        "key-value.a = 'hunter2'",
        "[key-value]\na = 'hunter2'",
        "[[key-value]]\na = 'hunter2' 7",
        "key-value = ['a=b']\nkey-value = [\"\"\"\nkernel-sandbox = 'hunter2'\n\"\"\"]",
        "egress-proxy-credentials = ['me:hunter2']",
        "egress-proxy-credentials = 'me:hunter2' 7",
        "egress-proxy-credential = 'me:hunter2'",
        "proxy-credentials = 'me:hunter2'",
        "egress-proxy = ['me:hunter2@a.test:80']",
        "egress-proxy = ['http://a.test/?hunter2']",
        "egress-proxy = 'me:hunter2@a.test:80' 7",
        "max-memory = '64X' # hunter2",
        "hunter2",
        "max-memory = hunter2",
    ] {
        let told = read(file).unwrap_err();
        assert!(!told.contains("hunter2"), "{file}:\n{told}");
    }
}

#[test]
fn what_is_no_text_of_a_few_lines_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let told = |path: &Path| {
        let wrong =
            ConfigurationFile::read(path, Location::Code, &keys(), &mut Files::default()).unwrap_err();
        wrong[0].message.clone()
    };
    let path = folder.path().join("outport.toml");
    assert!(told(&path).contains("there is no configuration file"));
    assert!(told(folder.path()).contains("it is a directory"));
    std::fs::write(&path, [0xff, 0xfe, b'a']).unwrap();
    assert!(told(&path).contains("is not UTF-8 text"));
    std::fs::write(&path, vec![b'#'; 10 << 20]).unwrap();
    assert!(told(&path).contains("it is longer than 1 MiB"));
    assert!(told(Path::new("/dev/zero")).contains("it is longer than 1 MiB"));
    let nested = format!("max-memory = {}", "[".repeat(200_000));
    assert!(read(nested).is_err());
}

#[test]
fn what_is_no_secret_is_quoted_as_it_stands() {
    for (file, quoted) in [
        ("max-memory = '64X' # no", "1 | max-memory = '64X' ****"),
        ("max-requests = 1.5", "1 | max-requests = 1.5"),
        ("max-memry = '64M'", "1 | max-memry = *****"),
        ("\u{feff}  grace = 10", "1 |   grace = 10"),
        ("grace = 10\nx = [\n", "1 | grace = **"),
        ("max-memry = 1\nx = [\n", "1 | max-memry = *"),
        ("[limits]\nx = 1", "1 | [limits]"),
        (
            "dns-server = ['a', 'u:hunter2@b', true]",
            "1 | dns-server = ['a', '***********', true]",
        ),
    ] {
        let told = read(file).unwrap_err();
        assert!(told.contains(quoted), "{file}: no `{quoted}` in\n{told}");
    }
}

#[test]
fn of_many_mistakes_the_first_are_told_and_the_rest_is_counted() {
    let began = std::time::Instant::now();
    let lines = (0..40_000).map(|number| format!("max-memry{number} = 1\n"));
    let many = [
        lines.collect::<String>(),
        format!("dns-server = [{}]", "1,".repeat(40_000)),
    ];
    for many in many {
        let told = read(many).unwrap_err();
        assert_eq!(told.matches("error: ").count(), MOST_MISTAKES, "{told}");
        assert!(told.contains("more mistakes than these: 39980"), "{told}");
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(60));
}
