//! Numbers, sizes, times and foreign texts as people read them.

use outport_policy::text;
use outport_records::summary::Span;

/// A number with its thousands apart: `12,345`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `once`, `12,345 times`.
pub(super) fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        number => format!("{} times", count(number)),
    }
}

/// Bytes: `312 B`, `1.5 KiB`, `20 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(value < 10.0);
    format!("{value:.digits$} {}", units[unit])
}

/// Milliseconds: `12 ms`, `3.4 s`, `5 min`, `2.5 h`.
pub(super) fn took(millis: u64) -> String {
    let seconds = millis as f64 / 1000.0;
    match millis {
        ..1000 => format!("{millis} ms"),
        1000..120_000 => format!("{seconds:.1} s"),
        120_000..7_200_000 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

/// When it was: once, or from first to last.
pub(super) fn span(span: &Span) -> String {
    if span.first == span.last {
        span.first.to_string()
    } else {
        format!("{} to {}", span.first, span.last)
    }
}

/// A foreign text of one line, cut where it is longer than anybody reads.
pub(super) fn foreign(foreign: &str) -> String {
    let shown = text::terminal(foreign);
    match shown.char_indices().nth(LONGEST) {
        None => shown,
        Some((end, _)) => format!("{}…", &shown[..end]),
    }
}

/// Characters of a foreign text; a remedy has 1000 at most.
const LONGEST: usize = 1000;

/// Rows as a table: columns as wide as what is in them, `right` those that are numbers. No spaces at the ends of lines.
pub(super) fn table<const N: usize>(rows: &[[String; N]], right: [bool; N], indent: &str) -> Vec<String> {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| console::measure_text_width(&row[column]));
        widths.max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let mut line = indent.to_owned();
        for (column, cell) in row.iter().enumerate() {
            let gap = " ".repeat(widths[column] - console::measure_text_width(cell));
            if column > 0 {
                line.push_str("  ");
            }
            let (before, behind) = if right[column] { (&*gap, "") } else { ("", &*gap) };
            line.push_str(before);
            line.push_str(cell);
            line.push_str(behind);
        }
        line.truncate(line.trim_end().len());
        line
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_people_read_them() {
        let counts = [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (12_345, "12,345"),
            (1_234_567, "1,234,567"),
        ];
        for (number, shown) in counts {
            assert_eq!(count(number), shown);
        }
        let sizes = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (20 << 10, "20 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (3 << 40, "3.0 TiB"),
            (u64::MAX, "16384 PiB"),
        ];
        for (number, shown) in sizes {
            assert_eq!(bytes(number), shown);
        }
        let durations = [
            (0, "0 ms"),
            (999, "999 ms"),
            (1500, "1.5 s"),
            (600_000, "10 min"),
            (9_000_000, "2.5 h"),
        ];
        for (millis, shown) in durations {
            assert_eq!(took(millis), shown);
        }
    }

    #[test]
    fn a_table_has_columns_and_no_spaces_at_its_ends() {
        let rows = [
            ["a".into(), "1".into(), "x".into()],
            ["größe".into(), "20".into(), String::new()],
        ];
        assert_eq!(
            table(&rows, [false, true, false], "  "),
            ["  a       1  x", "  größe  20"]
        );
    }
}
