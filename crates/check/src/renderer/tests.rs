//! Quotations, breaks, links and colours.

use outport_manifest::SourceFile;

use super::*;
use crate::code::Code;

const REPORT: Renderer = Renderer::report(Detail::Full, Colours::Plain);

fn shown(text: &str, meant: &str, columns: usize) -> (String, String) {
    let start = text.find(meant).unwrap();
    Quote::line_of(text, &(start..start + meant.len())).shown(columns)
}

#[test]
fn the_marks_stand_below_what_is_meant_however_wide_it_is() {
    for (text, meant, line, marks) in [
        ("a = \"bad\"", "bad", "a = \"bad\"", "     ^^^"),
        ("ü = \"bad\"", "bad", "ü = \"bad\"", "     ^^^"),
        ("名 = \"bad\"\r", "bad", "名 = \"bad\"", "      ^^^"),
        ("\ta = \"bäd\"", "bäd", " a = \"bäd\"", "      ^^^"),
        ("a = \"\x1b[2J\"", "\x1b[2J", "a = \"\u{fffd}[2J\"", "     ^^^^"),
    ] {
        assert_eq!(
            shown(text, meant, 70),
            (line.to_owned(), marks.to_owned()),
            "{text:?}"
        );
    }
}

#[test]
fn a_long_line_is_cut_around_what_is_meant() {
    let text = format!("{}bad{}", "x".repeat(300), "y".repeat(300));
    let (line, marks) = shown(&text, "bad", 70);
    assert!(line.width() <= 70 && line.contains("xbady"), "{line}");
    assert_eq!(
        &line[marks.find('^').map(|at| at + "…".len() - 1).unwrap()..][..3],
        "bad"
    );
    for (before, behind) in [(0, 0), (1, 0), (5, 5), (30, 3), (300, 300), (0, 300), (300, 0)] {
        let meant = "z".repeat(500);
        let text = "x".repeat(before) + &meant + &"y".repeat(behind);
        let (line, marks) = shown(&text, &meant, 70);
        assert!(line.width() <= 70, "{before} {behind}: {line}");
        assert!(marks.width() <= line.width(), "{before} {behind}: {line}");
        assert_eq!(
            marks.find('^'),
            line.chars().position(|c| c == 'z'),
            "{before} {behind}: {line}"
        );
    }
}

#[test]
fn nothing_that_was_written_elsewhere_moves_the_cursor() {
    let finding = Diagnostic::new(Code::Everything, Location::Code, "a\x1b[2Jb\u{202e}\rc\nd");
    let text = REPORT.render(&finding, &Sources::default());
    assert!(
        !text.contains('\x1b') && !text.contains('\u{202e}') && !text.contains('\r'),
        "{text:?}"
    );
}

#[test]
fn a_secret_is_not_quoted() {
    let file = SourceFile::new("spin.toml", "a = 'hunter2'\n");
    let mut sources = Sources::default();
    sources.add(file.clone());
    sources.conceal(file.path(), 5..12);
    let finding = Diagnostic::new(Code::Everything, file.location(&(5..12)), "told");
    let text = REPORT.render(&finding, &sources);
    assert!(
        text.contains("1 | a = '*******'") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn a_long_line_of_wide_text_is_cut_by_the_columns_that_it_takes() {
    for before in [0, 19, 20, 21, 59, 60, 61, 400] {
        for meant in [1, 39, 40, 41, 60, 61, 400] {
            let text = "名".repeat(before) + &"前".repeat(meant) + "b";
            let (line, marks) = shown(&text, &"前".repeat(meant), 115);
            assert!(line.width() <= 115, "{before} {meant}: {line}");
            let lead: String = line.chars().take_while(|c| *c != '前').collect();
            assert_eq!(marks.find('^'), Some(lead.width()), "{before} {meant}: {line}");
            assert!(marks.width() <= line.width(), "{before} {meant}: {line}");
        }
    }
}

#[test]
fn sentences_are_broken_in_a_report_alone_and_never_begin_a_line_of_ours() {
    let location = Location::Option { name: "--dir".into() };
    let words = "word ".repeat(30) + "end\nerror: forged";
    let long = Diagnostic::error(words).at(location).helped_by("a\nb");
    let sources = Sources::default();
    let message = Renderer::messages(Colours::Plain).render(&long, &sources);
    let lines: Vec<&str> = message.lines().collect();
    assert!(
        lines[0].starts_with("error: word word") && lines[0].ends_with("end"),
        "{message}"
    );
    assert_eq!(
        lines[1..],
        ["    error: forged", " --> --dir", "  = help: a", "    b"],
        "{message}"
    );
    let report = REPORT.render(&long, &sources);
    assert!(report.lines().all(|line| line.width() <= 80), "{report}");
    assert!(!report.contains("\nerror"), "{report}");
}

#[test]
fn a_value_from_no_file_is_quoted_itself() {
    let wrong = Diagnostic::error("wrong").quoting("bäd").at(Location::Code);
    let text = REPORT.render(&wrong, &Sources::default());
    assert!(
        text.contains("\n   |\n   | bäd\n   | ^^^\n") || text.contains("\n  |\n  | bäd\n  | ^^^\n"),
        "{text}"
    );
}

#[test]
fn sentences_are_as_wide_as_the_terminal_within_bounds() {
    let long = Diagnostic::error("word ".repeat(60) + "\nfurther ".repeat(20).as_str())
        .helped_by("help ".repeat(60));
    // (columns of the terminal, columns of the text at most and at least)
    for (terminal, most) in [(1, 40), (40, 40), (72, 72), (100, 100), (400, 100)] {
        for renderer in [REPORT, Renderer::messages(Colours::Plain)] {
            let text = renderer.within(terminal).render(&long, &Sources::default());
            let widest = text.lines().map(UnicodeWidthStr::width).max();
            let widest = widest.unwrap_or(0);
            assert!(
                widest <= most && widest > most - 10,
                "{terminal}: {widest}\n{text}"
            );
            assert!(!text.contains("\nfurther"), "{text}");
        }
    }
}

#[test]
fn a_place_leads_to_its_file_where_that_has_a_harmless_address() {
    let file = SourceFile::new("spin.toml", "a = 'b'\n");
    let found = Diagnostic::error("wrong").at(file.location(&(5..6)));
    let render = |link: LinkTo| REPORT.linked(Some(link)).render(&found, &Sources::default());
    assert_eq!(
        render(|path| Some(format!("file://here/{path}"))),
        "error: wrong\n --> \x1b]8;;file://here/spin.toml\x1b\\spin.toml:1:6\x1b]8;;\x1b\\\n"
    );
    let plain = "error: wrong\n --> spin.toml:1:6\n";
    assert_eq!(render(|_| None), plain);
    assert_eq!(render(|_| Some("file:///\x1b[2J".into())), plain);
    assert_eq!(render(|_| Some("file:///a b".into())), plain);
    assert_eq!(render(|_| Some("x".repeat(3000))), plain);
    let option = Location::Option { name: "--dir".into() };
    let given = Diagnostic::error("wrong").at(option);
    let text = REPORT.linked(Some(|_| Some("file:///a".into())));
    assert_eq!(
        text.render(&given, &Sources::default()),
        "error: wrong\n --> --dir\n"
    );
}

#[test]
fn colours_change_nothing_but_colour() {
    let file = SourceFile::new("spin.toml", "a = 'b'\n");
    let mut sources = Sources::default();
    sources.add(file.clone());
    let finding = Diagnostic::new(Code::Everything, file.location(&(5..6)), "told").helped_by("do = it");
    let plain = REPORT.render(&finding, &sources);
    let mut bare = Renderer::report(Detail::Full, Colours::Terminal).render(&finding, &sources);
    for sequence in ["\x1b[0m", "\x1b[1;33m", "\x1b[1;34m"] {
        assert!(bare.contains(sequence), "{bare:?}");
        bare = bare.replace(sequence, "");
    }
    assert_eq!(bare, plain);
}
