//! Lines of an audit log, read back.
//!
//! Reading never panics, lines have their bound, and a line is the same record whether it is in the form that the gate
//! writes, which is read in one pass, or in another one of JSON, which is not.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outport_records::summary::Summary;
use outport_records::why::{Host, Question, Why};
use outport_records::{Filter, LONGEST_LINE, Lines, Piece, Record, Timestamp};

fuzz_target!(|text: &[u8]| {
    let (mut summary, filter) = (Summary::default(), Filter::default());
    let (host, port) = Host::written("10.0.0.5");
    let mut why = Why::new(Question {
        host,
        port,
        from: Timestamp::FIRST,
        until: Timestamp::LAST,
        components: Vec::new(),
        instances: Vec::new(),
    });
    let mut lines = Lines::new(text);
    while let Ok(Some(piece)) = lines.next_piece() {
        let Piece::Line(line) = piece else { continue };
        assert!(line.len() <= LONGEST_LINE);
        let spaced = [b" ", line].concat();
        match (Record::parse(line), Record::parse(&spaced)) {
            (Ok(record), Ok(other)) => {
                assert_eq!(record, other);
                summary.add(&record, &filter);
                why.add(&record);
            }
            (Err(_), Err(_)) => {}
            (one, other) => panic!("{one:?}, and with a space {other:?}"),
        }
    }
    let rows = summary.components().iter().map(|(_, own)| own.talks.iter().count()).sum::<usize>();
    assert!(rows as u64 <= summary.records);
    let _ = why.answer();
});
