//! How long a command takes from its start to the first output of its guest.
//!
//! Cold: with an empty cache of compiled code, which the run fills. Warm: the run after it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::contestants::{OUTPORT, Programs, WASMTIME};
use crate::samples::Unit;
use crate::table::Table;

pub(crate) fn start(programs: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("start", "From the command to the first output", "wasmtime");
    let small = outport_e2e::guest::path("script-guest");
    let large = outport_e2e::python::component("hello", &[]);
    for _ in 0..repetitions {
        for (guest, what, arguments) in [
            (&small, "240 KB", &["print hello"][..]),
            (&large, "CPython, 18 MB", &[]),
        ] {
            for (name, program, options) in runners(programs) {
                let home = tempfile::tempdir().expect("a temporary folder");
                let time = || first_output(&program, options, guest, arguments, home.path());
                let (cold, warm) = (time(), time());
                table.add(&format!("{what}, cold"), Unit::Milliseconds, name, cold);
                table.add(&format!("{what}, warm"), Unit::Milliseconds, name, warm);
            }
        }
    }
    table
}

type Runner = (&'static str, PathBuf, &'static [&'static str]);

fn runners(programs: &Programs) -> Vec<Runner> {
    let outport: Runner = (OUTPORT, programs.outport.clone(), &["run", "-q"]);
    let wasmtime = programs.wasmtime.clone();
    let wasmtime =
        wasmtime.map(|program| -> Runner { (WASMTIME, program, &["run", "-C", "cache", "-S", "http"]) });
    std::iter::once(outport).chain(wasmtime).collect()
}

/// Milliseconds.
fn first_output(program: &Path, options: &[&str], guest: &Path, arguments: &[&str], home: &Path) -> f64 {
    let begun = Instant::now();
    let mut child = Command::new(program)
        .args(options)
        .arg(guest)
        .args(arguments)
        .env("HOME", home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let mut first = [0];
    let said = child.stdout.take().expect("a piped output").read(&mut first);
    let mut complaint = String::new();
    if !matches!(said, Ok(1)) {
        let _ = child
            .stderr
            .take()
            .expect("a piped output")
            .read_to_string(&mut complaint);
    }
    let time = begun.elapsed();
    let _ = child.kill();
    let _ = child.wait();
    assert!(
        matches!(said, Ok(1)),
        "{} of {} said nothing: {complaint}",
        program.display(),
        guest.display()
    );
    time.as_secs_f64() * 1e3
}
