//! `outport new` and `outport init`: what they make and refuse, and that nothing of anybody is written over.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use outport_e2e::author::{files_of, outport, shell, typed_lines};
use outport_e2e::outport::binary;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The command does it.
fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = outport(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
    said(&output)
}

/// The command refuses to, says `expected`, and leaves every file as it was.
fn refused(folder: &Path, arguments: &[&str], expected: &str) {
    let before = files_of(folder);
    let output = outport(folder, arguments);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
    assert!(
        told.replace("\n  ", " ").contains(expected),
        "{arguments:?}: {told}"
    );
    assert_eq!(files_of(folder), before, "{arguments:?}");
}

const TEMPLATES: [&str; 9] = [
    "http-rust",
    "http-js",
    "http-python",
    "command-rust",
    "command-js",
    "command-python",
    "postgres-rust",
    "postgres-js",
    "postgres-python",
];

#[test]
fn each_template_is_listed_and_makes_an_app_whose_source_alone_is_missing() {
    let root = folder();
    let list = outport(root.path(), &["new", "--list"]);
    let list = String::from_utf8(list.stdout).unwrap();
    let names: Vec<_> = list.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, TEMPLATES);
    for template in TEMPLATES {
        let told = done(root.path(), &["new", template, template]);
        for step in [
            &format!("  cd {template}\n"),
            "  outport build\n",
            "  outport up\n",
        ] {
            assert!(told.contains(step), "{told}");
        }
        let app = root.path().join(template);
        let check = outport(&app, &["check", "--deny-warnings"]);
        let found = String::from_utf8_lossy(&check.stdout).into_owned();
        assert!(
            found.contains("1 error\n") && found.contains("error[component.unusable]"),
            "{template}: {found}"
        );
        assert!(!app.join(".git").exists());
    }
}

#[test]
fn what_is_wrong_is_told_and_nothing_is_made() {
    let root = folder();
    let root = root.path();
    let rows: [(&[&str], &str); 23] = [
        (&["new"], "a template is missing"),
        (&["new", "http-rust"], "a name is missing"),
        (&["new", "htp-rust", "a"], "'http-rust'"),
        (&["new", "http-rust", "My_App"], "perhaps `my-app`"),
        (&["new", "http-rust", "a/b"], "`--output DIR`"),
        (&["new", "http-rust", "fn"], "another name, such as `my-fn`"),
        (&["new", "http-rust", "spin-sdk"], "another name"),
        (&["new", "http-rust", "a", "--route", "/.../a"], "is not a route"),
        (&["new", "http-js", "a", "--route", "/\u{fc}"], "`%C3%BC`"),
        (&["new", "http-js", "a", "--route", "/{{route}}"], "`%7B`"),
        (&["new", "http-js", "a", "--route", "/a\"b"], "`%22`"),
        (&["new", "http-js", "a", "--route", "/a\nb"], "is not a route"),
        (
            &["new", "http-js", "a", "--route", "/\u{1b}[31m"],
            "is not a route",
        ),
        (&["new", "http-js", "2nd-\u{fc}"], "perhaps `nd`"),
        (
            &[
                "new",
                "http-js",
                "a",
                "--allowed-outbound-hosts",
                "*://{{ db }}:1",
            ],
            "has a variable",
        ),
        (
            &["new", "http-js", "a", "--allowed-outbound-hosts", "https://a\nb"],
            "is not a valid entry",
        ),
        (
            &["new", "http-js", "a", "--allowed-outbound-hosts", "https://a\"b"],
            "is not a valid entry",
        ),
        (
            &["new", "command-rust", "a", "--route", "/"],
            "leave `--route` out",
        ),
        (
            &["new", "http-rust", "a", "--allowed-outbound-hosts", "example.com"],
            "example.com",
        ),
        (&["new", "-t", "http-rust", "a"], "`outport new TEMPLATE NAME`"),
        (&["init"], "a template is missing"),
        (
            &["init", "http-rust", "-f", "nowhere"],
            "there is no app at `nowhere`",
        ),
        (&["add", "http-rust"], "`outport init TEMPLATE NAME`"),
    ];
    for (arguments, expected) in rows {
        refused(root, arguments, expected);
        assert_eq!(fs::read_dir(root).unwrap().count(), 0, "{arguments:?}");
    }
}

#[test]
fn what_is_in_the_place_is_left_alone() {
    let root = folder();
    let root = root.path();
    fs::create_dir(root.join("full")).unwrap();
    fs::write(root.join("full/mine"), "mine").unwrap();
    fs::write(root.join("file"), "mine").unwrap();
    symlink("empty", root.join("link")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    let rows = [
        ("full", "is there already, and not empty"),
        ("file", "is there already, and not a directory"),
        ("link", "is a symbolic link"),
        ("dangling", "is a symbolic link"),
        ("file/below", "cannot write `file/below`"),
    ];
    for (place, expected) in rows {
        let before = fs::read_dir(root).unwrap().count();
        let output = outport(root, &["new", "command-js", "app", "--output", place]);
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(expected), "{}", said(&output));
        assert_eq!(fs::read_dir(root).unwrap().count(), before, "{place}");
    }
    assert_eq!(fs::read(root.join("file")).unwrap(), b"mine");
    assert_eq!(fs::read(root.join("full/mine")).unwrap(), b"mine");
    done(root, &["new", "command-js", "app", "--output", "empty"]);
    assert!(root.join("empty/spin.toml").exists());
}

/// A device of the kernel's for full disks is no folder, so the disk is a small one of the test's own.
#[test]
fn a_full_disk_and_a_folder_that_may_not_be_written_to_leave_nothing() {
    let root = folder();
    let root = root.path();
    fs::create_dir(root.join("disk")).unwrap();
    let script = "mount -t tmpfs -o size=8k,mode=777 none disk && \"$0\" new http-js app --output disk/app; \
                  echo \"status $?\"; ls -A disk";
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", script])
        .arg(binary())
        .current_dir(root)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said(&output).contains("cannot write `disk/app`: No space left"),
        "{}",
        said(&output)
    );
    assert_eq!(told, "status 1\n");

    // Root may write anywhere, but not to what is mounted for reading.
    let script =
        "mount -t tmpfs -o ro none disk && \"$0\" new http-js app --output disk/app; echo \"status $?\"";
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", script])
        .arg(binary())
        .current_dir(root)
        .output()
        .unwrap();
    assert!(
        said(&output).contains("cannot write `disk/app`: Read-only"),
        "{}",
        said(&output)
    );
}

#[test]
fn an_app_is_made_in_a_directory_that_has_files() {
    let root = folder();
    let clone = root.path().join("My Shop");
    fs::create_dir(&clone).unwrap();
    fs::write(clone.join("README.md"), "mine").unwrap();
    fs::write(clone.join("LICENSE"), "mine").unwrap();
    let told = done(&clone, &["init", "http-python"]);
    assert!(told.contains("`README.md` is left as it was"), "{told}");
    let manifest = fs::read_to_string(clone.join("spin.toml")).unwrap();
    assert!(manifest.contains("[component.my-shop]"), "{manifest}");
    assert_eq!(fs::read(clone.join("README.md")).unwrap(), b"mine");

    let other = root.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("app.py"), "mine").unwrap();
    refused(&other, &["init", "http-python"], "has `app.py` already");
}

#[test]
fn a_component_is_added_and_what_clashes_is_refused() {
    let root = folder();
    done(root.path(), &["new", "http-js", "shop"]);
    let app = root.path().join("shop");
    let app = app.as_path();
    let commented = fs::read_to_string(app.join("spin.toml"))
        .unwrap()
        .replace("[application]", "# mine\n[application]");
    fs::write(app.join("spin.toml"), &commented).unwrap();
    fs::write(
        app.join("outport.test.toml"),
        "# mine\n[[test]]\ndestination = \"https://a.test\"\nexpect = \"deny\"\n",
    )
    .unwrap();

    refused(
        app,
        &["init", "http-rust", "shop"],
        "there is a component `shop` already",
    );
    refused(
        app,
        &["init", "http-rust", "web", "--route", "/..."],
        "the route `/...` is taken already",
    );
    refused(app, &["init", "http-rust", "src"], "`src` is there already");
    for outside in ["../web", "/web", "."] {
        refused(
            app,
            &["init", "http-rust", "web", "--output", outside],
            "is not a folder below",
        );
    }
    done(app, &["init", "http-rust", "web"]);
    done(app, &["init", "http-python", "--output", "parts/py"]);
    let manifest = fs::read_to_string(app.join("spin.toml")).unwrap();
    for line in [
        "# mine\n[application]",
        "route = \"/web/...\"\ncomponent = \"web\"",
        "source = \"web/target/wasm32-wasip2/release/web.wasm\"",
        "workdir = \"web\"",
        "[component.http-python]",
        "workdir = \"parts/py\"",
    ] {
        assert!(manifest.contains(line), "{line}: {manifest}");
    }
    let tests = fs::read_to_string(app.join("outport.test.toml")).unwrap();
    assert!(
        tests.starts_with("# mine\n[[test]]\ncomponent = \"shop\"\n"),
        "{tests}"
    );
    assert!(app.join("web/src/lib.rs").exists() && app.join("parts/py/app.py").exists());
    assert!(!app.join("web/spin.toml").exists() && !app.join("web/outport.test.toml").exists());
    // The sources are what is missing, and nothing else is wrong.
    let check = outport(app, &["check", "--deny-warnings"]);
    let found = String::from_utf8_lossy(&check.stdout).into_owned();
    assert_eq!(found.matches("error[component.unusable]").count(), 3, "{found}");
    assert!(found.contains("3 errors"), "{found}");

    fs::write(app.join("spin.toml"), "spin_manifest_version = 5\n").unwrap();
    refused(app, &["init", "http-rust", "more"], "spin_manifest_version");
}

#[test]
fn where_the_manifest_cannot_be_written_there_is_no_folder_either() {
    let root = folder();
    done(root.path(), &["new", "http-js", "shop"]);
    let script = "mount --bind shop shop && mount --bind shop/spin.toml shop/spin.toml && \
                  mount -o remount,bind,ro shop/spin.toml && cd shop && \"$0\" init http-rust web; echo \"status $?\"";
    let before = files_of(root.path());
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", script])
        .arg(binary())
        .current_dir(root.path())
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "status 2\n",
        "{}",
        said(&output)
    );
    assert!(said(&output).contains("Read-only"), "{}", said(&output));
    assert_eq!(files_of(root.path()), before);
    let mode = fs::metadata(root.path().join("shop/spin.toml"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o111, 0);
}

/// What is typed at a terminal, each once its prompt is there, and what came of it.
fn typed(folder: &Path, line: &str, answers: &[(&str, &str)]) -> (Option<i32>, String) {
    let line = format!("{} {line}", binary().display());
    typed_to(folder, &line, answers, || ())
}

/// The same for any line of a shell; `before_answers` is done once the first prompt is there.
fn typed_to(
    folder: &Path,
    line: &str,
    answers: &[(&str, &str)],
    before_answers: impl Fn(),
) -> (Option<i32>, String) {
    // Who waits for an answer for ever is a failure, and not a hang.
    let mut script = Command::new("timeout");
    script
        .args(["60", "script", "--quiet", "--return", "--flush", "--command"])
        .arg(line)
        .arg("/dev/null")
        .current_dir(folder)
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = script.spawn().expect("`script` is of the package `bsdutils`");
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = Vec::new();
    for (index, (prompt, keys)) in answers.iter().enumerate() {
        let seen = shown.len();
        let is_there = |shown: &[u8]| String::from_utf8_lossy(&shown[seen..]).contains(prompt);
        let mut bytes = [0; 512];
        while !is_there(&shown) {
            let count = output.read(&mut bytes).unwrap();
            assert_ne!(count, 0, "{prompt}: {}", String::from_utf8_lossy(&shown));
            shown.extend_from_slice(&bytes[..count]);
        }
        if index == 0 {
            before_answers();
        }
        input.write_all(keys.as_bytes()).unwrap();
    }
    output.read_to_end(&mut shown).unwrap();
    let status = child.wait().unwrap();
    drop(input);
    (status.code(), String::from_utf8_lossy(&shown).into_owned())
}

#[test]
fn on_a_terminal_what_is_missing_is_asked_for() {
    let root = folder();
    let root = root.path();
    // Down to the second template.
    let answers = [
        ("postgres-python", "\x1b[B\r"),
        ("Name", "shop\r"),
        ("Route", "/shop\r"),
        ("hosts", "https://api.test\r"),
    ];
    let (code, shown) = typed(root, "new", &answers);
    assert_eq!(code, Some(0), "{shown}");
    let manifest = fs::read_to_string(root.join("shop/spin.toml")).unwrap();
    for line in [
        "build/app.wasm",
        "route = \"/shop\"",
        "allowed_outbound_hosts = [\"https://api.test\"]",
    ] {
        assert!(manifest.contains(line), "{manifest}");
    }
    let (code, shown) = typed(root, "new command-rust other --accept-defaults", &[]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(root.join("other/spin.toml").exists());
}

/// However small: some editors open a terminal of one row.
#[test]
fn a_terminal_of_any_size_asks_and_one_that_shrinks_goes_on() {
    for (size, prompt, choice) in [
        ("rows 1 cols 80", "number or name", "http-js\r"),
        ("rows 2 cols 20", "number or name", "2\r"),
        ("rows 10 cols 80", "number or name", "nothing\x7f\x15http-js\r"),
        ("rows 11 cols 80", "postgres-python", "\x1b[B\r"),
        ("rows 1 cols 1", "number or name", "0\r2\r"),
    ] {
        let root = folder();
        let line = format!("stty {size}; {} new", binary().display());
        let name = "a\u{fc}\x7f\x7f\x7fshoq\x7fp\r";
        let answers = [(prompt, choice), ("Name", name), ("Route", "\r"), ("hosts", "\r")];
        let (code, shown) = typed_to(root.path(), &line, &answers, || ());
        assert_eq!(code, Some(0), "{size}: {shown}");
        let manifest = fs::read_to_string(root.path().join("shop/spin.toml")).unwrap();
        assert!(manifest.contains("build/app.wasm"), "{size}: {manifest}");
    }

    let (root, elsewhere) = (folder(), folder());
    let path = elsewhere.path().join("tty");
    let line = format!(
        "stty rows 24 cols 80; tty >{}; {} new",
        path.display(),
        binary().display()
    );
    let shrink = || {
        let terminal = fs::read_to_string(&path).unwrap();
        let mut stty = Command::new("stty");
        stty.args(["-F", terminal.trim(), "rows", "1", "cols", "1"]);
        assert!(stty.status().unwrap().success());
    };
    let answers = [
        ("postgres-python", "\x1b[B\x1b[A\x1b[B\r"),
        ("Name", "shoq\x7fp\r"),
        ("Route", "\r"),
        ("hosts", "\r"),
    ];
    let (code, shown) = typed_to(root.path(), &line, &answers, shrink);
    assert_eq!(code, Some(0), "{shown}");
    assert!(root.path().join("shop/spin.toml").exists(), "{shown}");
}

#[test]
fn ctrl_c_makes_nothing_and_leaves_the_terminal_as_it_was() {
    let root = folder();
    let rows: [(&str, &[(&str, &str)]); 8] = [
        // Ctrl-D, and Esc in the menu.
        ("new", &[("postgres-python", "\x04")]),
        ("new", &[("postgres-python", "\x1b")]),
        ("new http-rust", &[("Name", "\x04")]),
        ("new http-rust a", &[("Route", "/a\x04")]),
        ("new", &[("postgres-python", "\x03")]),
        ("new", &[("postgres-python", "\r"), ("Name", "\x03")]),
        ("new http-rust a", &[("Route", "\x03")]),
        ("new http-rust a", &[("Route", "\r"), ("hosts", "\x03")]),
    ];
    let elsewhere = folder();
    let state = |name| fs::read_to_string(elsewhere.path().join(name)).unwrap();
    // Ctrl-C and what it ends are two threads: more than one try shows whether they agree.
    for (line, answers) in rows.iter().cycle().take(3 * rows.len()) {
        let shell = format!(
            "cd {}; stty -g >before; (cd {}; {} {line}); status=$?; stty -g >after; exit $status",
            elsewhere.path().display(),
            root.path().display(),
            binary().display()
        );
        let (code, shown) = typed_to(root.path(), &shell, answers, || ());
        assert_eq!(code, Some(130), "{line}: {shown}");
        let hidden = shown.rfind("\x1b[?25l").unwrap_or_default();
        assert!(hidden == 0 || shown[hidden..].contains("\x1b[?25h"), "{shown:?}");
        assert_eq!(state("after"), state("before"), "{line}: {shown}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "{line}");
    }
}

/// The longest name, words that languages have for themselves, and characters that a shell, TOML and JSON do.
#[test]
fn unusual_names_and_values_make_files_that_are_valid() {
    let longest = "a".repeat(64);
    let rows = [
        ("http-rust", &*longest, "/it's/$(id);&'*/..."),
        ("http-js", "constructor", "/a@b,c=(d)!"),
        ("http-js", "import", "noslash"),
        ("http-python", "class", "/%7Bx%7D/:id"),
        ("http-python", "encodings", "/..."),
    ];
    for (template, name, route) in rows {
        let root = folder();
        let entry = "--allowed-outbound-hosts=https://*.a.test,*://b.test:80";
        done(root.path(), &["new", template, name, "--route", route, entry]);
        let app = root.path().join(name);
        let check = outport(&app, &["check", "--deny-warnings"]);
        let found = String::from_utf8_lossy(&check.stdout).into_owned();
        assert!(
            found.contains("1 error\n") && found.contains("error[component.unusable]"),
            "{name}: {found}"
        );
        let readme = fs::read_to_string(app.join("README.md")).unwrap();
        let curl = typed_lines(&readme)[2].replacen("curl", "printf %s", 1);
        let url = String::from_utf8(shell(&app, &curl).stdout).unwrap();
        let path = route.replace("...", "").replace(':', "");
        assert_eq!(
            url,
            format!("http://127.0.0.1:3000/{}", path.trim_start_matches('/'))
        );
    }
}
