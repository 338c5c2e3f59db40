//! The guest `stores` behind HTTP, and database files as other programs see them.
//!
//! ```no_run
//! use outport_e2e::{outport::Outport, stores};
//!
//! let app = Outport::up(&stores::app(&[("one", "key_value_stores = [\"default\"]")])).start();
//! stores::check(&app, "one", &[("kv2.open default", "ok"), ("kv2.get k", "none")]);
//! ```

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::http;
use crate::outport::Running;
use crate::process::system_program;
use crate::script::results;

/// The `spin.toml` of an app with these components: each a name, which is its route too, and lines of its own.
pub fn app(components: &[(&str, &str)]) -> String {
    let mut manifest = "spin_manifest_version = 2\napplication.name = \"stores\"\n".to_owned();
    for (name, lines) in components {
        write!(
            manifest,
            "\n[[trigger.http]]\nroute = \"/{name}\"\ncomponent = \"{name}\"\n\
             [component.{name}]\nsource = \"GUESTS/stores.wasm\"\n{lines}\n"
        )
        .expect("a string takes all text");
    }
    manifest
}

/// What a component says of these statements.
///
/// # Panics
///
/// If it does not answer each of them.
#[track_caller]
pub fn perform<S: AsRef<str>>(app: &Running, component: &str, statements: &[S]) -> Vec<String> {
    let statements: Vec<&str> = statements.iter().map(AsRef::as_ref).collect();
    let answer = http::post(app.address(), &format!("/{component}"), &statements.join("\n"));
    let answer = answer.unwrap_or_else(|error| panic!("{statements:?}: {error}\n{app}"));
    let results = results(&answer.body);
    assert_eq!(
        results.len(),
        statements.len(),
        "{}: {}\n{app}",
        answer.status,
        answer.body
    );
    results.into_iter().map(str::to_owned).collect()
}

/// Has a component perform statements that must each get this result.
///
/// # Panics
///
/// If one of them gets another.
#[track_caller]
pub fn check(app: &Running, component: &str, rows: &[(&str, &str)]) {
    let statements: Vec<&str> = rows.iter().map(|(statement, _)| *statement).collect();
    let results = perform(app, component, &statements);
    for ((statement, expected), result) in rows.iter().zip(&results) {
        assert_eq!(result, expected, "`{statement}` of {statements:?}\n{app}");
    }
}

/// What Python prints with the database `file` open as `db`, by the SQLite that Python brings.
///
/// # Panics
///
/// If the program fails.
#[track_caller]
pub fn python(file: &Path, program: &str) -> String {
    let program = format!("import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\n{program}\ndb.close()\n");
    let output = Command::new(system_program("python3"))
        .args(["-c", &program])
        .arg(file)
        .output()
        .expect("Python was there a moment ago");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}\n{complaint}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Another process that is about to write to the file of a database, until it is dropped.
#[derive(Debug)]
pub struct FileLock(Child);

impl FileLock {
    /// One that has the lock of `file`.
    ///
    /// # Panics
    ///
    /// If it does not get it.
    pub fn of(file: &Path) -> Self {
        let mut program = Command::new(system_program("python3"));
        program
            .args([
                "-c",
                "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                 db.execute('BEGIN IMMEDIATE')\nprint('locked', flush=True)\nsys.stdin.read()",
            ])
            .arg(file);
        let mut other = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python");
        let mut line = [0; 6];
        let said = other
            .stdout
            .as_mut()
            .expect("it was given a pipe")
            .read_exact(&mut line);
        said.expect("it has the lock");
        Self(other)
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
