//! A table as a picture: bars, a group for each row, each group to a scale of its own.

use std::fmt::Write as _;

use crate::samples::number;
use crate::table::{Row, Table};

const WIDTH: f64 = 760.0;
const LABEL: f64 = 250.0;
const BAR: f64 = 15.0;
const GAP: f64 = 14.0;

/// Fill by contestant, in the order of the table; readable on white and on black.
const COLOURS: [&str; 6] = ["#2a78d6", "#e07b39", "#7a8793", "#3f9d6d", "#a05fb4", "#c2a02b"];

/// The picture as SVG.
pub(crate) fn svg(table: &Table) -> String {
    let contestants = table.contestants();
    let height = table.rows.iter().map(|row| group_height(row) + GAP).sum::<f64>() + 54.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"12\" role=\"img\" aria-label=\"{}\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        escape(table.title)
    );
    for (at, contestant) in contestants.iter().enumerate() {
        let x = 12.0 + 150.0 * at as f64;
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"12\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{}\" y=\"22\">{}</text>",
            colour(at),
            x + 18.0,
            escape(contestant)
        );
    }
    let mut y = 44.0;
    for row in &table.rows {
        group(&mut text, row, &contestants, y);
        y += group_height(row) + GAP;
    }
    text.push_str("</svg>\n");
    text
}

fn group(text: &mut String, row: &Row, contestants: &[&'static str], y: f64) {
    let most = row
        .cells
        .iter()
        .map(|(_, samples)| samples.median())
        .fold(0.0, f64::max);
    let better = if row.unit.less_is_better() {
        "less is better"
    } else {
        "more is better"
    };
    let _ = writeln!(
        text,
        "<text x=\"12\" y=\"{}\">{}</text><text x=\"12\" y=\"{}\" font-size=\"10\" fill=\"#667\">{}, {better}</text>",
        y + 11.0,
        escape(&row.what),
        y + 25.0,
        row.unit
    );
    for (at, (contestant, samples)) in row.cells.iter().enumerate() {
        let median = samples.median();
        let length = (WIDTH - LABEL - 90.0) * if most > 0.0 { median / most } else { 0.0 };
        let top = y + BAR * at as f64;
        let fill = contestants
            .iter()
            .position(|own| own == contestant)
            .map_or("#000", colour);
        let _ = writeln!(
            text,
            "<rect x=\"{LABEL}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{}\" fill=\"{fill}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            BAR - 3.0,
            LABEL + length + 6.0,
            top + 10.5,
            number(median)
        );
    }
}

fn group_height(row: &Row) -> f64 {
    (BAR * row.cells.len() as f64).max(28.0)
}

fn colour(at: usize) -> &'static str {
    COLOURS[at % COLOURS.len()]
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
