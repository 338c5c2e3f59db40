//! Whole runs of two instances against the naive model: the steps of `crates/policy/tests/whole_runs`, of bytes.

#![no_main]

#[path = "../../crates/policy/tests/whole_runs/model.rs"]
mod model;
#[path = "../../crates/policy/tests/whole_runs/real.rs"]
mod real;
#[path = "../../crates/policy/tests/whole_runs/run.rs"]
mod run;
#[path = "../../crates/policy/tests/whole_runs/step.rs"]
mod step;
#[path = "../../crates/policy/tests/whole_runs/written.rs"]
mod written;

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use model::{MOST_IN_FLIGHT, MOperator, PEER_IDLE};
use run::{Instance, Run};
use step::{Said, Step};
use written::{HOSTS, LEARNERS, NAMES, PORTS, RANGES, SCHEMES, TARGETS, Target, Written};

fuzz_target!(|bytes: &[u8]| {
    let _ = run_case(&mut Unstructured::new(bytes));
});

/// Runs until the bytes end.
fn run_case(bytes: &mut Unstructured<'_>) -> Result<()> {
    let mut run = Run::new(several(bytes, 4, written)?, operator(bytes)?);
    let mut instances = [Instance::new(), Instance::new()];
    while !bytes.is_empty() {
        let which = usize::from(bytes.arbitrary::<bool>()?);
        let step = step(bytes)?;
        if let Err(disagreement) = run.step(&mut instances[which], step) {
            panic!("{disagreement}");
        }
    }
    Ok(())
}

fn several<T>(
    bytes: &mut Unstructured<'_>,
    most: usize,
    one: impl Fn(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = bytes.int_in_range(0..=most)?;
    (0..count).map(|_| one(bytes)).collect()
}

fn written(bytes: &mut Unstructured<'_>) -> Result<Written> {
    let mut schemes = vec![*bytes.choose(&SCHEMES)?];
    if bytes.arbitrary()? {
        schemes.push(bytes.choose(&SCHEMES)?);
        schemes.sort_unstable();
        schemes.dedup();
    }
    let mut ranges = vec![*bytes.choose(&RANGES)?];
    if bytes.arbitrary()? {
        ranges.push(*bytes.choose(&RANGES)?);
    }
    Ok(Written {
        schemes,
        host: *bytes.choose(&HOSTS)?,
        ranges,
    })
}

fn operator(bytes: &mut Unstructured<'_>) -> Result<MOperator> {
    Ok(MOperator {
        deny: several(bytes, 3, written)?,
        udp: bytes.arbitrary()?,
        low_ports: bytes.arbitrary()?,
        link: bytes.arbitrary()?,
        loopback_answers: bytes.arbitrary()?,
        learned: several(bytes, 2, |bytes| Ok((*bytes.choose(&LEARNERS)?, target(bytes)?)))?,
    })
}

fn target(bytes: &mut Unstructured<'_>) -> Result<Target> {
    bytes.choose(&TARGETS).copied()
}

fn name(bytes: &mut Unstructured<'_>) -> Result<&'static str> {
    bytes.choose(&NAMES).copied()
}

fn port(bytes: &mut Unstructured<'_>) -> Result<u16> {
    bytes.choose(&PORTS).copied()
}

fn step(bytes: &mut Unstructured<'_>) -> Result<Step> {
    let scheme = |bytes: &mut Unstructured<'_>| bytes.choose(&["http", "redis"]).copied();
    Ok(match bytes.int_in_range(0..=9)? {
        0 => Step::Lookup(name(bytes)?),
        1 => Step::Answer(bytes.int_in_range(0..=MOST_IN_FLIGHT - 1)?, said(bytes)?),
        2 => Step::Connect(target(bytes)?, port(bytes)?),
        3 => Step::Send(target(bytes)?, port(bytes)?),
        4 => Step::Receive(target(bytes)?, port(bytes)?),
        5 => Step::Request(name(bytes)?, scheme(bytes)?, port(bytes)?),
        6 => Step::RequestTo(target(bytes)?, scheme(bytes)?, port(bytes)?),
        7 => Step::Dial(
            name(bytes)?,
            several(bytes, 1, name)?,
            target(bytes)?,
            scheme(bytes)?,
            port(bytes)?,
        ),
        8 => Step::Wait(bytes.int_in_range(1..=2 * PEER_IDLE)?),
        _ => Step::Reload(operator(bytes)?),
    })
}

fn said(bytes: &mut Unstructured<'_>) -> Result<Said> {
    Ok(match bytes.int_in_range(0..=7)? {
        0 => Said::NoSuchName,
        1 => Said::Failed,
        2 => Said::Abandoned,
        _ => Said::Addresses(several(bytes, 1, name)?, several(bytes, 3, target)?),
    })
}
