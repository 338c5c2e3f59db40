use std::io::Write;

use super::*;
use crate::LONGEST_LINE;

fn started(second: u32) -> String {
    format!("{{\"ts\":\"2026-03-01T09:30:{second:02}.000Z\",\"started\":true}}\n")
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn of(files: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        Self(folder)
    }

    fn inputs(&self, names: &[&str]) -> Vec<Input> {
        let path = |name| Input::named(self.0.path().join(name));
        names.iter().map(path).collect()
    }

    /// The seconds of the records in the order in which they are read.
    fn seconds(&self, names: &[&str]) -> (Vec<u64>, Tally) {
        let mut seconds = Vec::new();
        let tally = read(&self.inputs(names), |record, _| {
            seconds.push(record.ts().millis() / 1000 % 60);
            ControlFlow::Continue(())
        });
        (seconds, tally)
    }
}

#[test]
fn a_rotated_log_is_read_from_its_oldest_record_whatever_the_order_and_the_names_are() {
    let text = |seconds: &[u32]| -> String { seconds.iter().copied().map(started).collect() };
    let folder = Folder::of(&[
        ("audit.jsonl", text(&[7, 8]).as_bytes()),
        ("audit.jsonl.1", text(&[4, 6, 5]).as_bytes()),
        ("audit.jsonl.2.gz", &gzip(&text(&[3]))),
        ("audit.jsonl.3.zst", &zstd(&text(&[1, 2]))),
        ("empty", b""),
    ]);
    let names = [
        "audit.jsonl",
        "audit.jsonl.1",
        "audit.jsonl.2.gz",
        "audit.jsonl.3.zst",
        "empty",
    ];
    for turn in 0..names.len() {
        let mut names = names;
        names.rotate_left(turn);
        let (seconds, tally) = folder.seconds(&names);
        assert_eq!(seconds, [1, 2, 3, 4, 6, 5, 7, 8], "{names:?}");
        assert_eq!((tally.lines, tally.damaged), (8, 0));
        assert!(tally.unreadable.is_empty() && tally.named_twice.is_empty());
    }
}

#[test]
fn the_same_file_is_read_once() {
    let folder = Folder::of(&[("a", started(1).as_bytes())]);
    std::fs::hard_link(folder.0.path().join("a"), folder.0.path().join("b")).unwrap();
    let (seconds, tally) = folder.seconds(&["a", "b", "a"]);
    assert_eq!(seconds, [1]);
    assert_eq!(
        tally.named_twice,
        [folder.0.path().join("b"), folder.0.path().join("a")]
    );
}

#[test]
fn damaged_lines_are_counted_and_the_first_are_told_and_nothing_hides_the_rest() {
    let long = "x".repeat(LONGEST_LINE + 1);
    let rubbish = "rubbish\n".repeat(10);
    let text = format!("{}{long}\n\n{}{rubbish}{{\"ts\":", started(1), started(2));
    let cut_off = gzip(&format!("{}{}", started(3), started(4)));
    let folder = Folder::of(&[("a", text.as_bytes()), ("cut", &cut_off[..cut_off.len() - 6])]);
    let (seconds, tally) = folder.seconds(&["a", "no-such", "cut"]);
    assert_eq!(seconds, [1, 2, 3, 4]);
    assert_eq!((tally.lines, tally.damaged), (17, 13));
    let places: Vec<_> = tally.first_damaged.iter().map(|damaged| damaged.line).collect();
    assert_eq!(places, [2, 3, 5, 6, 7]);
    assert_eq!(tally.first_damaged[0].problem, LineProblem::TooLong);
    let unreadable: Vec<_> = tally
        .unreadable
        .iter()
        .map(|(path, _)| path.file_name().unwrap())
        .collect();
    assert_eq!(unreadable, ["no-such", "cut"]);
}

#[test]
fn what_can_be_read_once_has_its_place_too() {
    let folder = Folder::of(&[("new", started(9).as_bytes())]);
    let pipe = folder.0.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let text = format!("rubbish\n{}{}", started(1), started(2));
    let writer = std::thread::spawn(move || std::fs::write(pipe, text).unwrap());
    let (seconds, tally) = folder.seconds(&["new", "pipe"]);
    writer.join().unwrap();
    assert_eq!(seconds, [1, 2, 9]);
    assert_eq!((tally.lines, tally.damaged), (4, 1));
}

#[test]
fn a_small_file_that_stands_for_a_large_one_is_read_without_its_size_in_memory() {
    // 64 MiB of one line, of which nothing is kept.
    let zeros = vec![b'0'; 1 << 20];
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..64 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.write_all(format!("\n{}", started(1)).as_bytes()).unwrap();
    let folder = Folder::of(&[("bomb", &encoder.finish().unwrap())]);
    let (seconds, tally) = folder.seconds(&["bomb"]);
    assert_eq!((seconds, tally.damaged), (vec![1], 1));
    assert_eq!(tally.first_damaged[0].problem, LineProblem::TooLong);
}

#[test]
fn reading_breaks_off_when_it_is_told_to() {
    let folder = Folder::of(&[
        ("a", [started(1), started(2)].concat().as_bytes()),
        ("b", started(3).as_bytes()),
    ]);
    let mut lines = Vec::new();
    read(&folder.inputs(&["a", "b"]), |_, reading| {
        lines.push((reading.place.line, reading.line.to_vec()));
        ControlFlow::Break(())
    });
    assert_eq!(lines, [(1, started(1).trim_end().as_bytes().to_vec())]);
}
