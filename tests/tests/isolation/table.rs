//! The table: rows run one after the other, and a line for each.

use std::env;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::row::{Complaint, Row, Seen};

/// Runs the rows one after the other and prints them.
///
/// # Panics
///
/// If one is not as it should be; when all were run.
pub(crate) fn run(rows: Vec<Row>) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let only = env::var("OUTPORT_ISOLATION").ok();
    let mut failed = String::new();
    for row in rows {
        if only
            .as_ref()
            .is_some_and(|only| !row.name.contains(only.as_str()))
        {
            continue;
        }
        let (mut seen, mut complaints) = play_once(&row);
        for _ in 1..TRIES {
            let is_wrong = |complaint: &Complaint| matches!(complaint, Complaint::Wrong(_));
            if complaints.is_empty() || complaints.iter().any(is_wrong) {
                break;
            }
            (seen, complaints) = play_once(&row);
        }
        if only.is_some() {
            println!("    {} hostile requests ended", seen.answers);
            seen.stderr
                .lines()
                .skip_while(|line| !line.starts_with("Serving"))
                .for_each(|line| println!("    | {line:.300}"));
        }
        for complaint in &complaints {
            let _ = writeln!(failed, "{} {}: {}", row.clause, row.name, complaint.text());
        }
        if !complaints.is_empty() {
            let end: Vec<_> = seen.stderr.lines().rev().take(3).collect();
            for line in end.iter().rev() {
                let _ = writeln!(failed, "    | {line:.300}");
            }
        }
    }
    assert!(failed.is_empty(), "not as it should be:\n{failed}");
}

/// How often a row is played that is late, each time beside a calm of its own: what starves its neighbours does so each
/// time, and what else the machine does is over at some point.
const TRIES: usize = 3;

fn play_once(row: &Row) -> (Seen, Vec<Complaint>) {
    let (seen, complaints) = match catch_unwind(AssertUnwindSafe(|| row.run())) {
        Ok(mut seen) => {
            let complaints = row.complaints(&mut seen);
            (seen, complaints)
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            (Seen::default(), vec![Complaint::Wrong(text)])
        }
    };
    print(row, &seen, &complaints);
    (seen, complaints)
}

/// Runs a test that is no table row, with nothing beside it, unless only rows of other names are wanted.
pub(crate) fn alone(name: &str, test: impl FnOnce()) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if env::var("OUTPORT_ISOLATION").map_or(true, |only| name.contains(&only)) {
        test();
    }
}

/// Medians mean something only while nothing else is measured.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn print(row: &Row, seen: &Seen, complaints: &[Complaint]) {
    let verdict = match complaints {
        [] if seen.refused => "refused at start".to_owned(),
        [] => "holds".to_owned(),
        [first, rest @ ..] => {
            let more = if rest.is_empty() {
                String::new()
            } else {
                format!(" (and {} more)", rest.len())
            };
            let word = match first {
                Complaint::Late(_) => "LATE",
                Complaint::Wrong(_) => "BROKEN",
            };
            let first = first.text().lines().next().unwrap_or_default();
            format!("{word}: {first:.80}{more}")
        }
    };
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{:34} {:6} hello {:>4}/{:<4} median {:>6.1} -> {:>6.1} ms, worst {:>6.0}  {:>5} MiB {:>5} fd {:>5.1} s cpu  {verdict}",
        row.name,
        row.clause,
        seen.under.succeeded(),
        seen.under.total(),
        ms(seen.calm.median()),
        ms(seen.under.median()),
        ms(seen.under.worst()),
        seen.peak >> 20,
        seen.descriptors,
        seen.processor.as_secs_f64(),
    );
}
