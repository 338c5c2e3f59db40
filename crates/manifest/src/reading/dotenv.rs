//! `.env` beside the manifest: values for variables, as Spin reads them.
//!
//! ```text
//! # a comment
//! SPIN_VARIABLE_HOST=db.example.com          # the value ends at white space; a comment may follow
//! export SPIN_VARIABLE_GREETING="a\tb $HOST" # \n \t \r \" \\ \$ and lines above, by $NAME or ${NAME}
//! SPIN_VARIABLE_PATTERN='as it is: $ \ "'
//! ```
//!
//! Of a name that is there twice the last one counts. Quoted values may go over several lines.
//!
//! One thing is other than in Spin: `$NAME` never stands for a variable of the process. A manifest is somebody else's,
//! and what is in the environment of whoever runs it is not the app's to read. So a name that no line above sets is a
//! mistake. What a line holds may be secret and is never part of a message.

use std::collections::HashMap;

use crate::report::mistake::Mistake;
use crate::report::problem::{Area, Problem};
use crate::source::{SourceFile, Span};

/// The content of the file.
pub(crate) struct DotEnv {
    /// The values by their names.
    pub(crate) values: HashMap<String, String>,
    /// The place where the last line of a name begins.
    pub(crate) lines: HashMap<String, Span>,
    /// The mistakes: the first lines each for itself, and the rest by number.
    pub(crate) problems: Vec<Problem>,
}

/// The lines of the file.
pub(crate) fn read_dotenv(source: &SourceFile) -> DotEnv {
    let mut values = HashMap::new();
    let mut lines = HashMap::new();
    let mut problems = Vec::new();
    let mut more = 0_usize;
    let text = source.text();
    let mut reader = Reader {
        text,
        at: text.len() - text.trim_start_matches('\u{feff}').len(),
    };
    while reader.at < text.len() {
        let start = reader.at;
        match reader.line(&values) {
            Ok(None) => {}
            Ok(Some((name, value))) => {
                lines.insert(name.clone(), span_of_name(text, start));
                values.insert(name, value);
            }
            Err(wrong) => {
                if problems.len() < MOST_PROBLEMS {
                    problems.push(problem(source, start, wrong))
                } else {
                    more += 1
                }
                reader.skip_line();
            }
        }
    }
    if more > 0 {
        problems.push(Problem {
            area: Area::Variables,
            mistake: Mistake::Syntax {
                message: format!("{more} more lines cannot be read"),
            },
            location: source.location(&(text.len()..text.len())),
        });
    }
    DotEnv {
        values,
        lines,
        problems,
    }
}

/// Stands for the name of the line at most: behind it comes the value.
fn problem(source: &SourceFile, start: usize, wrong: &'static str) -> Problem {
    let span = span_of_name(source.text(), start);
    Problem {
        area: Area::Variables,
        mistake: Mistake::Syntax {
            message: format!("this line cannot be read: {wrong}"),
        },
        location: source.location(&span),
    }
}

/// The span before the `=` of the line that begins at `start`.
fn span_of_name(text: &str, start: usize) -> Span {
    let line = text[start..].lines().next().unwrap_or_default();
    start..start + line.find('=').unwrap_or(0)
}

/// The position up to which a text was read.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    /// The next line; none where it is empty or a comment.
    fn line(&mut self, above: &HashMap<String, String>) -> Result<Option<(String, String)>, &'static str> {
        self.skip_blanks();
        match self.peek() {
            None => return Ok(None),
            Some('#' | '\n' | '\r') => {
                self.skip_line();
                return Ok(None);
            }
            Some(_) => {}
        }
        let mut name = self.name(is_part_of_a_name);
        if name == "export" && self.peek().is_some_and(is_blank) {
            self.skip_blanks();
            name = self.name(is_part_of_a_name);
        }
        self.skip_blanks();
        if name.is_empty() || self.next() != Some('=') {
            return Err("write `NAME=VALUE`");
        }
        self.skip_blanks();
        let value = self.value(above)?;
        self.skip_blanks();
        match self.peek() {
            None | Some('#' | '\n' | '\r') => {
                self.skip_line();
                Ok(Some((name, value)))
            }
            Some(_) => Err("put quotes around a value with white space"),
        }
    }

    /// As many letters as can be part of a name.
    fn name(&mut self, is_part: fn(char) -> bool) -> String {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        let name = &rest[..end];
        self.at += end;
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            String::new()
        } else {
            name.to_owned()
        }
    }

    /// Pieces, quoted or not, up to white space.
    fn value(&mut self, above: &HashMap<String, String>) -> Result<String, &'static str> {
        let mut value = String::new();
        loop {
            match self.peek() {
                None | Some('\n' | '\r' | ' ' | '\t') => return Ok(value),
                Some('#') if value.is_empty() => return Ok(value),
                Some('\'') => {
                    self.next();
                    let rest = &self.text[self.at..];
                    let end = rest.find(['\'', '\0']).ok_or(NOT_CLOSED)?;
                    if rest[end..].starts_with('\0') {
                        return Err("it has a zero byte");
                    }
                    value.push_str(&rest[..end]);
                    self.at += end + 1;
                }
                Some('"') => {
                    self.next();
                    while self.peek() != Some('"') {
                        self.piece(above, &mut value)?;
                    }
                    self.next();
                }
                Some(_) => self.piece(above, &mut value)?,
            }
        }
    }

    /// One letter, what is escaped, or what a name stands for.
    fn piece(&mut self, above: &HashMap<String, String>, value: &mut String) -> Result<(), &'static str> {
        match self.next().ok_or(NOT_CLOSED)? {
            '\\' => value.push(match self.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some(c @ ('\\' | '"' | '\'' | '$' | ' ')) => c,
                _ => return Err("write a backslash as `\\\\`, or put single quotes around the value"),
            }),
            '$' => {
                let braces = self.peek() == Some('{');
                if braces {
                    self.next();
                }
                let name = self.name(if braces {
                    is_part_of_a_name
                } else {
                    is_part_of_a_word
                });
                if braces && self.next() != Some('}') {
                    return Err("`${` has no `}`");
                }
                let known = above.get(&name);
                value.push_str(
                    known.ok_or("`$NAME` can only stand for a line above, and there is none; write `\\$`")?,
                );
            }
            // No environment has one, and a file that does is none of variables.
            '\0' => return Err("it has a zero byte"),
            other => value.push(other),
        }
        if value.len() > LONGEST {
            Err("the value is too long")
        } else {
            Ok(())
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.next();
        }
    }

    fn skip_line(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.find('\n').map_or(rest.len(), |end| end + 1);
    }
}

fn is_part_of_a_name(c: char) -> bool {
    is_part_of_a_word(c) || c == '.'
}

/// A dot behind `$NAME` is text.
fn is_part_of_a_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

const NOT_CLOSED: &str = "a quote is never closed";

/// Lines that are reported each for itself: a file that is no `.env` is wrong in all of them.
const MOST_PROBLEMS: usize = 20;

/// Bytes of the longest value: lines that stand for lines above would double with each.
const LONGEST: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_spin_reads_them() {
        let rows = [
            ("A=b", Some("b")),
            ("A=", Some("")),
            (" export A = b # why", Some("b")),
            ("A=b#c", Some("b#c")),
            ("A=#b", Some("")),
            ("A='b c $D \\ \"'", Some("b c $D \\ \"")),
            ("A=\"b c\\n\\\"\\\\\\$\"", Some("b c\n\"\\$")),
            ("A=\"two\nlines\"", Some("two\nlines")),
            ("A=b'c'\"d\"", Some("bcd")),
            ("A=b\\ c", Some("b c")),
            ("# A=a\n\nA=b\r\n", Some("b")),
            ("A=a\nA=b", Some("b")),
            ("B=b\nA=\"$B-${B}c\"", Some("b-bc")),
            ("B=b\nA=$B.c", Some("b.c")),
            ("\u{feff}A=ü", Some("ü")),
            ("A=$PATH", None),
            ("A=${B", None),
            ("A=b c", None),
            ("A=\"b", None),
            ("A='b", None),
            ("A=b\0B=c", None),
            ("A='b\0'", None),
            ("A=\\x", None),
            ("A b", None),
            ("1A=b", None),
            ("=b", None),
        ];
        for (text, expected) in rows {
            let DotEnv { values, problems, .. } = read_dotenv(&SourceFile::new(".env", text));
            assert_eq!(values.get("A").map(String::as_str), expected, "{text:?}");
            assert_eq!(
                problems.len(),
                usize::from(expected.is_none()),
                "{text:?} {problems:?}"
            );
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_hides_no_other_and_no_message_has_a_value() {
        let text = "A=hunter2 hunter2\nB=b\nC=\"hunter2\\q\"\nD=d\nhunter2\n";
        let DotEnv { values, problems, .. } = read_dotenv(&SourceFile::new(".env", text));
        let mut names: Vec<_> = values.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["B", "D"]);
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[1].starts_with(".env:3:1: "), "{told:?}");
        assert!(!told.join("").contains("hunter2"), "{told:?}");
    }

    #[test]
    fn many_lines_that_cannot_be_read_are_told_by_number() {
        for (lines, told, last) in [(20, 20, "line cannot be read"), (1000, 21, "980 more lines")] {
            let text = format!("A=b\n{}", "no variable\n".repeat(lines));
            let DotEnv { values, problems, .. } = read_dotenv(&SourceFile::new(".env", text));
            assert_eq!((values.len(), problems.len()), (1, told));
            let end = problems.last().map(ToString::to_string).unwrap_or_default();
            assert!(end.contains(last), "{end}");
        }
    }

    #[test]
    fn lines_that_double_each_other_come_to_an_end() {
        let doubling: String = (1..40)
            .map(|line| format!("A{line}=$A{0}$A{0}\n", line - 1))
            .collect();
        let DotEnv { values, problems, .. } =
            read_dotenv(&SourceFile::new(".env", format!("A0=x\n{doubling}")));
        assert!(values.values().map(String::len).sum::<usize>() <= 4 * LONGEST);
        assert!(!problems.is_empty());
    }
}
