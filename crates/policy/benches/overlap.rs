//! What it costs to hold a list of entries against a deny list of the same length, and against itself.
//!
//! Both lists are a third names, a third wildcards and a third networks, and every tenth entry meets one of the
//! other list: it is denied, or a part of it is. The cost should grow about as fast as the lists.

use std::net::Ipv4Addr;

use divan::{Bencher, black_box};
use outport_policy::*;

fn main() {
    divan::main();
}

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

fn entry(n: usize, kind: &str) -> Entry {
    let port = 1024 + n % 50_000;
    let own = if n.is_multiple_of(10) { "shared" } else { kind };
    let text = match n % 3 {
        0 => format!("*://{own}{n}.example:{port}"),
        1 => format!("*://*.{own}{n}.example:{port}"),
        _ => {
            let half = if own == "shared" {
                0
            } else {
                u32::from(kind == "denied") << 30
            };
            let net = Ipv4Addr::from(0x0B00_0000 + half + (u32::try_from(n).unwrap_or(0) << 8));
            format!("*://{net}/24:{port}")
        }
    };
    Entry::parse(&text, Location::Code).expect("the entry is well formed")
}

fn operator(entries: usize) -> Operator {
    let denied = (0..entries).map(|n| entry(n, "denied")).collect();
    Operator {
        deny: DenyList::compile(denied, Vec::new()),
        ..Operator::default()
    }
}

/// Everything that `check` asks of entries and deny list.
#[divan::bench(args = SIZES, sample_count = 10)]
fn against_the_deny_list(bencher: Bencher<'_, '_>, entries: usize) {
    let operator = operator(entries);
    let allowed: Vec<Entry> = (0..entries).map(|n| entry(n, "allowed")).collect();
    bencher.bench_local(|| touched(black_box(&operator), &allowed));
}

fn touched(operator: &Operator, allowed: &[Entry]) -> usize {
    let kept_out = KeptOut::of(operator);
    let touched = allowed.iter().filter(|entry| {
        let cuts = kept_out.cuts(entry).take(5).count();
        let left = kept_out.left(entry);
        cuts > 0 || left != Left::Whole || !kept_out.undecided(entry, 3).is_empty()
    });
    touched.count()
}

/// What a program may write: one host, and every entry with a port of its own.
#[divan::bench(args = [1_000, 10_000], sample_count = 10)]
fn of_one_host(bencher: Bencher<'_, '_>, entries: usize) {
    let texts = (1..=entries).map(|port| format!("*://db.example:{port}"));
    let allowed: Vec<Entry> = texts
        .map(|text| Entry::parse(&text, Location::Code).expect("the entry is well formed"))
        .collect();
    bencher.bench_local(|| redundant(black_box(&allowed)).len());
}

/// Entries of which every second one covers much of the other list's hosts, on a port of its own or on all.
fn wide(n: usize) -> Entry {
    let port = if n.is_multiple_of(20) {
        "*".to_owned()
    } else {
        (1024 + n % 50_000).to_string()
    };
    let text = match n % 10 {
        0 => format!("*://*:{port}"),
        2 => format!("*://*.example:{port}"),
        4 => format!("*://11.0.0.0/8:{port}"),
        6 => format!("*://[::]/0:{port}"),
        8 => format!("*://{{11.0.0.0/9,*.example}}:{port}"),
        _ => return entry(n, "allowed"),
    };
    Entry::parse(&text, Location::Code).expect("the entry is well formed")
}

#[divan::bench(args = SIZES, sample_count = 1)]
fn wide_against_the_deny_list(bencher: Bencher<'_, '_>, entries: usize) {
    let operator = operator(entries);
    let allowed: Vec<Entry> = (0..entries).map(wide).collect();
    bencher.bench_local(|| touched(black_box(&operator), &allowed));
}

#[divan::bench(args = SIZES, sample_count = 1)]
fn wide_against_itself(bencher: Bencher<'_, '_>, entries: usize) {
    let allowed: Vec<Entry> = (0..entries).map(wide).collect();
    bencher.bench_local(|| redundant(black_box(&allowed)).len());
}

#[divan::bench(args = SIZES, sample_count = 10)]
fn against_itself(bencher: Bencher<'_, '_>, entries: usize) {
    let allowed: Vec<Entry> = (0..entries).map(|n| entry(n, "allowed")).collect();
    bencher.bench_local(|| redundant(black_box(&allowed)).len());
}
