//! What somebody wrote wrong: one clear message that says what, where and what to write, exit code 2, and
//! nothing of Outport's insides.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::{Duration, Instant};

use outport_e2e::guest;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::slow_component::slow_component;

/// A manifest whose only component has this `allowed_outbound_hosts`, on line 14.
fn manifest(entries: &str) -> String {
    format!(
        r#"spin_manifest_version = 2

[application]
name = "bad"
version = "0.1.0"

[[trigger.http]]
route = "/..."
component = "web"

[component.web]
source = "GUESTS/hello.wasm"

allowed_outbound_hosts = [{entries}]
"#
    )
}

/// Exit code 2, nothing on standard output, a message of its own and no trace of the inside.
#[track_caller]
fn refused(finished: Finished) -> String {
    let finished = finished.expect_code(2);
    assert_eq!(finished.stdout, "", "{finished}");
    for word in ["backtrace", "RUST_", "Error {", "Some(", "src/", ".rs:"] {
        assert!(
            !finished.stderr.contains(word),
            "`{word}` is of the inside\n{finished}"
        );
    }
    assert!(finished.stderr.contains("error"), "{finished}");
    finished.stderr
}

/// An entry and what the message about it must say besides the entry itself.
const BAD_ENTRIES: [(&str, &str); 27] = [
    ("example.com:80", "://"),
    ("example.com", "://"),
    ("*", "*://*:*"),
    ("insecure:allow-all", "*://*:*"),
    ("http://example.com/path", "path"),
    ("http://example.com?q=1", "query"),
    ("http://example.com/#top", "fragment"),
    ("http://user@example.com", "user"),
    ("*://a.*.example.com:80", "*."),
    ("*://ex*mple.com:80", "*."),
    ("*://*example.com:80", "*."),
    ("*://2001:db8::1:80", "write `*://[2001:db8::1]:80`"),
    ("*://::1:80", "write `*://[::1]:80`"),
    ("*://127.1:80", "127.0.0.1"),
    ("*://0x7f000001:80", "127.0.0.1"),
    ("*://2130706433:80", "127.0.0.1"),
    ("*://0177.0.0.1:80", "127.0.0.1"),
    ("*://10.0.0.5/8:80", "10.0.0.0/8"),
    ("*://[2001:db8::1]/32:80", "2001:db8::"),
    ("*://10.0.0.0/33:80", "32"),
    ("*://[2001:db8::]/129:80", "128"),
    ("*://example.com:80..80", "80"),
    ("*://example.com:90..80", "80"),
    ("*://example.com:90-80", "80"),
    ("*://example.com:0", "0"),
    ("*://example.com:65536", "65535"),
    ("*://example.com", "port"),
];

/// Users and passwords are not.
fn shown(entry: &str) -> String {
    entry.replace("//user@", "//****@")
}

// proves: AL-2
#[test]
fn every_error_in_an_entry_of_the_manifest_names_its_line_and_what_to_write() {
    for (entry, remedy) in BAD_ENTRIES {
        let message = refused(Outport::up(&manifest(&format!(r#""https://good.test", "{entry}""#))).finish());
        for part in [shown(entry).as_str(), remedy, "spin.toml:14"] {
            assert!(message.contains(part), "`{entry}`: no `{part}` in\n{message}");
        }
    }
}

// proves: AL-2, DL-1
#[test]
fn every_error_in_an_entry_on_the_command_line_names_the_option() {
    for option in ["--allowed-outbound-hosts", "--disallowed-outbound-hosts"] {
        for (entry, remedy) in BAD_ENTRIES {
            let run = Outport::run(guest::path("script-guest")).option(format!("{option}={entry}"));
            let message = refused(run.finish());
            for part in [shown(entry).as_str(), remedy, option] {
                assert!(message.contains(part), "`{entry}`: no `{part}` in\n{message}");
            }
        }
    }
}

// proves: DL-1
#[test]
fn an_error_in_the_environment_names_the_variable() {
    let run = Outport::run(guest::path("script-guest"))
        .variable("OUTPORT_DISALLOWED_OUTBOUND_HOSTS", "*://127.1:80");
    let message = refused(run.finish());
    for part in ["OUTPORT_DISALLOWED_OUTBOUND_HOSTS", "*://127.1:80", "127.0.0.1"] {
        assert!(message.contains(part), "no `{part}` in\n{message}");
    }
}

#[test]
fn a_log_that_cannot_be_chosen_is_an_error_and_one_that_can_be_is_none() {
    let run = |log: &str| {
        Outport::run(guest::path("script-guest"))
            .variable("OUTPORT_LOG", log)
            .finish()
    };
    for log in [
        "outport_egress=loud",
        "[",
        "a=b=c",
        "debgu",
        "warn,verbose",
        "outport:debug",
        "outport_egress =debug",
        "outport_egres=debug",
        "outport_egress=",
        "=debug",
    ] {
        let message = refused(run(log));
        for part in ["OUTPORT_LOG", log, "outport_egress=debug"] {
            assert!(message.contains(part), "`{log}`: no `{part}` in\n{message}");
        }
    }
    for log in [
        "",
        "warn",
        "WARN",
        "3",
        "off,",
        "outport_egress=debug,warn",
        "outport_egress::audit=info, hyper=warn",
        "outport_runtime",
        "[guest{component=web}]=info",
    ] {
        run(log).expect_code(0);
    }
}

#[test]
fn a_message_is_short_however_long_the_mistake_is() {
    let entry = format!("*://{}:1", "a".repeat(100_000));
    let of_manifest = Outport::up(&manifest(&format!("\"{entry}\""))).finish();
    let of_option = Outport::run(guest::path("script-guest"))
        .option(format!("--allowed-outbound-hosts={entry}"))
        .finish();
    for finished in [of_manifest, of_option] {
        let message = refused(finished);
        assert!(
            message.len() < 2_000,
            "{} bytes: {}",
            message.len(),
            &message[..2_000]
        );
    }
}

#[test]
fn what_is_said_of_an_entry_is_short_however_long_the_entry_is() {
    let hosts: Vec<String> = (0..5_000)
        .map(|number| format!("10.7.{}.{}", number / 250, number % 250))
        .collect();
    let entry = |port: u16| format!("*://{{{},localhost}}:{port}", hosts.join(","));
    let settings =
        |denied: &str| format!("[outbound_networking]\ndisallowed_outbound_hosts = [{denied:?}]\n");
    let manifest = format!(
        "spin_manifest_version = 2\napplication.name = \"long\"\n\n[[trigger.command]]\ncomponent = \"main\"\n\
         args = [\"tcp.connect 10.7.0.1:1\", \"tcp.connect 10.7.0.1:2\", \"dns.lookup localhost\"]\n\n\
         [component.main]\nsource = \"GUESTS/script-guest.wasm\"\nallowed_outbound_hosts = [{:?}]\n",
        entry(5432)
    );
    let under = |command: Outport| {
        command
            .file("settings.toml", settings(&entry(1)))
            .option("--runtime-config-file=settings.toml")
    };
    let explain = || under(Outport::command("explain").manifest(&manifest));
    let finished = under(Outport::up(&manifest)).finish().expect_code(0);
    assert_eq!(
        finished.reasons(),
        ["deny.host", "allow.port"],
        "a denial by an entry of the operator's, and one near one of the author's"
    );
    for line in &finished.audit {
        assert!(line.to_string().len() < 1_000, "{line}");
    }
    assert!(finished.stderr.len() < 4_000, "{} bytes", finished.stderr.len());
    for (options, code) in [
        (&["tcp://10.7.0.1:1"][..], 1),
        (&["tcp://10.7.0.1:5432"], 0),
        (&["--format=json", "tcp://10.7.0.1:1"], 1),
        (&["--format=json", "tcp://10.7.0.1:5432"], 0),
        (&[], 0),
    ] {
        let explained = explain().options(options).finish().expect_code(code);
        assert!(
            explained.stdout.len() < 4_000,
            "{options:?}: {} bytes",
            explained.stdout.len()
        );
        assert!(explained.stdout.contains('…'), "{options:?}");
    }
    let document = explain().option("--format=json").finish().expect_code(0);
    assert!(
        document.stdout.contains("10.7.19.249"),
        "what is compared later is whole"
    );
}

#[test]
fn a_manifest_that_does_not_parse_is_shown_with_its_place() {
    for (text, place, what) in [
        (
            "spin_manifest_version = 2\n[application\nname = \"a\"\n",
            "spin.toml:2",
            "]",
        ),
        ("spin_manifest_version = 1\nname = \"a\"\n", "spin.toml:1", "2"),
        (
            "[application]\nname = \"a\"\n",
            "spin.toml",
            "spin_manifest_version",
        ),
        ("", "spin.toml", "spin_manifest_version"),
    ] {
        let message = refused(Outport::up(text).finish());
        for part in [place, what] {
            assert!(message.contains(part), "no `{part}` in\n{message}");
        }
    }
}

#[test]
fn a_key_or_a_component_that_does_not_exist_is_named_with_its_place() {
    let good = manifest("");
    for (from, to, place, what) in [
        ("component = \"web\"", "component = \"wbe\"", "spin.toml:9", "wbe"),
        ("route = \"/...\"", "route = \"/.../x\"", "spin.toml:8", "/.../x"),
        ("name = \"bad\"", "nmae = \"bad\"", "spin.toml", "name"),
        (
            "allowed_outbound_hosts = []",
            "allowed_outbound_hosts = 7",
            "spin.toml:14",
            "allowed_outbound_hosts",
        ),
        (
            "allowed_outbound_hosts = []",
            "allowed_outbound_hosts = [7]",
            "spin.toml:14",
            "allowed_outbound_hosts",
        ),
    ] {
        let message = refused(Outport::up(&good.replace(from, to)).finish());
        for part in [place, what] {
            assert!(message.contains(part), "`{to}`: no `{part}` in\n{message}");
        }
    }
}

#[test]
fn a_file_that_is_no_component_is_named_with_what_it_is() {
    let module = wat::parse_str("(module (import \"env\" \"puts\" (func)))").unwrap();
    for (content, what) in [
        (&module[..], "imports `puts` of `env`"),
        (b"hello", "not WebAssembly"),
        (b"", "not WebAssembly"),
        (b"\0asm\x0d\0\x01\0\xff\xff", "component"),
    ] {
        let message = refused(Outport::run("it.wasm").file("it.wasm", content).finish());
        for part in ["it.wasm", what] {
            assert!(message.contains(part), "no `{part}` in\n{message}");
        }
        let source = manifest("").replace("GUESTS/hello.wasm", "it.wasm");
        let message = refused(Outport::up(&source).file("it.wasm", content).finish());
        for part in ["it.wasm", what, "spin.toml:12"] {
            assert!(message.contains(part), "no `{part}` in\n{message}");
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    for (outport, parts) in [
        (Outport::run("none.wasm"), vec!["none.wasm"]),
        (
            Outport::up(&manifest("").replace("GUESTS/hello", "none")),
            vec!["none.wasm", "spin.toml:12"],
        ),
        (Outport::command("up"), vec!["spin.toml"]),
        (Outport::command("up").options(["-f", "nowhere"]), vec!["nowhere"]),
        (
            Outport::run(guest::path("script-guest")).option("--runtime-config-file=none.toml"),
            vec!["none.toml"],
        ),
    ] {
        let message = refused(outport.finish());
        for part in parts {
            assert!(message.contains(part), "no `{part}` in\n{message}");
        }
    }
}

#[test]
fn options_that_make_no_sense_are_named() {
    for option in [
        "--allow-loopback-ports=99999",
        "--allow-loopback-ports=90-80",
        "--dns-server=example.com",
        "--dns-server=127.0.0.1:0x35",
        "--max-sockets=many",
        "--max-sockets-per-instance=-1",
        "--allow-everything",
        "--env=NOVALUE",
    ] {
        let message = refused(Outport::run(guest::path("script-guest")).option(option).finish());
        let name = option.split('=').next().unwrap();
        assert!(message.contains(name), "no `{name}` in\n{message}");
    }
}

#[test]
fn a_runtime_config_with_an_error_is_shown_with_its_place() {
    for (text, what) in [
        (
            "[outbound_networking]\nblock_networks = [\"10.0.0.5/8\"]\n",
            "10.0.0.0/8",
        ),
        ("[outbound_networking]\nblock_networks = [\"secret\"]\n", "secret"),
        ("[outbound_networking]\nblock_networks = 7\n", "block_networks"),
        ("[outbound_networking]\nblock_networks = [\n", "config.toml:2"),
    ] {
        let run = Outport::run(guest::path("script-guest")).file("config.toml", text);
        let message = refused(run.option("--runtime-config-file=config.toml").finish());
        for part in ["config.toml:", what] {
            assert!(message.contains(part), "no `{part}` in\n{message}");
        }
    }
}

/// An app of two components, of which one is `bad.wasm`.
const TWO: &str = "spin_manifest_version = 2\napplication.name = \"two\"\n\
    [[trigger.http]]\nroute = \"/...\"\ncomponent = \"good\"\n[component.good]\nsource = \"GUESTS/hello.wasm\"\n\
    [[trigger.http]]\nroute = \"/bad\"\ncomponent = \"bad\"\n[component.bad]\nsource = \"bad.wasm\"\n";

fn all_that_load(component: &[u8]) -> [Outport; 4] {
    [
        Outport::command("run")
            .file("bad.wasm", component)
            .args(["bad.wasm"]),
        Outport::command("serve")
            .option("--listen=127.0.0.1:0")
            .file("bad.wasm", component)
            .args(["bad.wasm"]),
        Outport::up(TWO).file("bad.wasm", component),
        Outport::command("check")
            .manifest(TWO)
            .file("bad.wasm", component),
    ]
}

/// All that was said, without line breaks.
fn said(finished: &Finished) -> String {
    let words: Vec<&str> = [&*finished.stderr, &*finished.stdout]
        .into_iter()
        .flat_map(str::split_whitespace)
        .collect();
    words.join(" ")
}

// proves: ISO-7
#[test]
fn a_component_that_takes_too_long_to_compile_is_refused_by_every_command() {
    let component = slow_component(500, 500);
    assert!(component.len() < 16 << 10);
    for command in all_that_load(&component) {
        let start = Instant::now();
        let finished = command.option("--max-compile-time=1500ms").finish();
        assert!(start.elapsed() < Duration::from_secs(60), "{finished}");
        let text = said(&finished);
        assert!(matches!(finished.code, Some(1 | 2)), "{finished}");
        for part in [
            "bad.wasm`",
            "more than 1.5 s of processor time",
            "--max-compile-time TIME",
        ] {
            assert!(text.contains(part), "no `{part}`\n{finished}");
        }
        assert!(
            !text.contains("hello.wasm"),
            "the other one is compiled\n{finished}"
        );
    }
}

/// Each of these is given up before it would be told of, and all of them together take longer than that.
#[test]
fn a_start_that_compiles_for_long_says_so_however_small_each_component_is() {
    let mut up = Outport::up("");
    let mut manifest = "spin_manifest_version = 2\napplication.name = \"slow\"\n".to_owned();
    for number in 0..3 {
        up = up.file(&format!("slow{number}.wasm"), slow_component(500 + number, 500));
        manifest += &format!(
            "[[trigger.http]]\nroute = \"/{number}\"\ncomponent = {{ source = \"slow{number}.wasm\" }}\n"
        );
    }
    let finished = up
        .manifest(&manifest)
        .option("--max-compile-time=1500ms")
        .finish()
        .expect_code(2);
    for part in ["note: compiling `slow", " KiB), which is done once"] {
        assert!(finished.stderr.contains(part), "no `{part}`\n{finished}");
    }
}

// proves: ISO-7
#[test]
fn a_component_that_takes_too_much_memory_to_compile_is_refused_whatever_the_kernel_holds() {
    let component = slow_component(2000, 1000);
    let nowhere = Path::new("/proc/none");
    for command in all_that_load(&component) {
        let finished = command
            .option("--max-compile-memory=128M")
            .variable("OUTPORT_KERNEL_SANDBOX", "off")
            .variable("XDG_CACHE_HOME", nowhere)
            .finish();
        let text = said(&finished);
        for part in [
            "bad.wasm`",
            "more than 128 MiB of memory",
            "--max-compile-memory SIZE",
        ] {
            assert!(text.contains(part), "no `{part}`\n{finished}");
        }
    }
}

// proves: ISO-7
#[test]
fn a_component_is_compiled_where_nothing_can_be_kept() {
    for sandbox in ["on", "off"] {
        let finished = Outport::script_guest()
            .option(format!("--kernel-sandbox={sandbox}"))
            .variable("XDG_CACHE_HOME", "/proc/none")
            .args(["print hi"])
            .finish()
            .expect_code(0);
        assert_eq!(finished.lines(), ["1 print hi => hi"], "{finished}");
        assert!(
            finished.stderr.contains("compiled code is not kept"),
            "{finished}"
        );
        assert!(finished.stderr.contains("`--cache-dir DIR`"), "{finished}");
    }
}

#[test]
fn what_can_be_made_again_lies_where_the_operator_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let chosen = folder.path().join("chosen");
    let services = folder.path().join("services");
    // (variables, the option, where the code is then)
    let rows = [
        (vec![("CACHE_DIRECTORY", services.as_path())], false, &services),
        (
            vec![
                ("CACHE_DIRECTORY", services.as_path()),
                ("OUTPORT_CACHE_DIR", &chosen),
            ],
            false,
            &chosen,
        ),
        (vec![("OUTPORT_CACHE_DIR", services.as_path())], true, &chosen),
    ];
    for (variables, option, place) in rows {
        let _ = fs::remove_dir_all(place);
        let mut run = Outport::script_guest().args(["print hi"]);
        for (name, value) in &variables {
            run = run.variable(*name, *value);
        }
        if option {
            run = run.option(format!("--cache-dir={}", chosen.display()));
        }
        run.finish().expect_code(0);
        let kept = fs::read_dir(place.join("compiled")).map(Iterator::count);
        assert!(kept.is_ok_and(|kept| kept > 0), "{variables:?} {option}");
    }
    let files = manifest("").replace(
        "allowed_outbound_hosts",
        "files = [\"spin.toml\"]\nallowed_outbound_hosts",
    );
    let refused = Outport::up(&files)
        .variable("XDG_CACHE_HOME", "/proc/none")
        .finish()
        .expect_code(2);
    for part in [
        "copied to `/proc/none/outport/files`",
        "`--cache-dir DIR`",
        "spin.toml:",
    ] {
        assert!(refused.stderr.contains(part), "no `{part}`\n{refused}");
    }
}

#[test]
fn what_is_given_to_the_wrong_command_is_told_the_right_one() {
    let script_guest = guest::path("script-guest").display().to_string();
    let up = |path: &str| Outport::command("up").option("-f").option(path);
    let rows = [
        (up(&script_guest), format!("`outport run {script_guest}`")),
        (
            Outport::command("check").option("-f").option(&script_guest),
            format!("`outport serve {script_guest}`"),
        ),
        (Outport::run("."), "`outport up -f .`".to_owned()),
        (
            Outport::run("spin.toml").file("spin.toml", ""),
            "`outport up -f spin.toml`".to_owned(),
        ),
        (Outport::command("check"), "say where with `-f`".to_owned()),
    ];
    for (command, part) in rows {
        let refused = command.finish().expect_code(2);
        assert!(refused.stderr.contains(&part), "no `{part}`\n{refused}");
    }
}

fn pipe(folder: &Path, name: &str) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, folder.join(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

// proves: ISO-7
#[test]
fn a_pipe_is_no_component_and_nobody_waits_for_its_other_end() {
    for command in all_that_load(b"") {
        let path = command.folder().join("bad.wasm");
        std::fs::remove_file(&path).unwrap();
        pipe(command.folder(), "bad.wasm");
        let finished = command.within(Duration::from_secs(60)).finish();
        let text = said(&finished);
        assert!(text.contains("it is a pipe, not a file"), "{finished}");
    }
}

// proves: ISO-7
#[test]
fn a_pipe_is_no_dependency_manifest_or_file_of_tests() {
    let dependency = TWO.to_owned() + "[component.good.dependencies]\n\"a:b/c\" = { path = \"pipe\" }\n";
    let commands = [
        Outport::up(&dependency),
        Outport::command("check").manifest(&dependency),
        Outport::command("up").option("-f").option("pipe"),
        Outport::command("check").option("-f").option("pipe"),
        Outport::command("explain").option("-f").option("pipe"),
        Outport::command("check").manifest(&TWO.replace("bad.wasm", "GUESTS/hello.wasm")),
    ];
    for command in commands {
        pipe(command.folder(), "pipe");
        pipe(command.folder(), "outport.test.toml");
        let command = command.file("bad.wasm", b"\0asm\x0d\0\x01\0");
        let finished = command.within(Duration::from_secs(60)).finish();
        let text = said(&finished);
        assert!(text.contains("it is a pipe, not a file"), "{finished}");
    }
}

// proves: RSN-4
#[test]
fn a_file_name_forges_no_line_and_moves_no_cursor() {
    let names: [&[u8]; 5] = [
        b"a\ndenied: component `bank` tcp 192.0.2.1:1 [forged]",
        b"a\x1b[2J\x1b]0;title\x07\r",
        "a\u{202e}b\u{2066}\u{200b}".as_bytes(),
        "a\u{2028}denied: x\u{85}\u{9b}2J".as_bytes(),
        b"a\xff\nerror: y",
    ];
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let mut file = OsString::from_vec(name.to_vec());
        let stem = file.to_string_lossy().into_owned();
        file.push(".wasm");
        let path = folder.path().join(&file);
        let is_text = path.to_str().is_some();
        let mut ended = Vec::new();
        let missing = Outport::serve(&path).finish().expect_code(2);
        assert!(missing.stderr.contains("there is no file"), "{missing}");
        ended.push(missing);

        fs::copy(guest::path("http-script-guest"), &path).unwrap();
        let served = Outport::serve(&path)
            .allow("http://no.effect")
            .option("-v")
            .start();
        assert_eq!(served.get("/?tcp.connect%2010.0.0.5:80").status, 200);
        assert_eq!(served.get("/?tcp.connect%2010.0.0.5:80").status, 200);
        let served = served.stop().expect_code(0);
        assert_eq!(served.reasons(), ["allow.no-match", "allow.no-match"], "{served}");
        ended.push(served);
        ended.push(Outport::serve(&path).option("--client-tls=x").finish());
        if is_text {
            let no_command = Outport::run(&path).finish().expect_code(2);
            assert!(no_command.stderr.contains("is not a command"), "{no_command}");
            ended.push(no_command);
            fs::copy(guest::script_guest(), &path).unwrap();
            let run = Outport::run(&path)
                .option("--max-time=1s")
                .args(["tcp.connect 10.0.0.5:80", "wait 60000"]);
            ended.push(run.finish().expect_code(134));
        }
        for finished in ended {
            for line in &finished.audit {
                assert_eq!(line.field("component"), stem, "the true name\n{finished}");
            }
            for line in finished.stderr.split('\n') {
                assert!(!line.chars().any(does_something), "{line:?}\n{finished}");
                let forged = line.starts_with("denied: ") && !line.starts_with("denied: component `a\\");
                let forged = forged && !line.starts_with("denied: component `a\u{fffd}");
                assert!(!forged && !line.starts_with("error: y"), "{line:?}\n{finished}");
            }
        }
    }
}

fn does_something(c: char) -> bool {
    c.is_control() || "\u{200b}\u{202e}\u{2066}\u{2028}".contains(c)
}
