//! What there is to say of a code, for a terminal and for programs.

use std::fmt::Write;

use serde::Serialize;

use super::{CodeKind, CodePage};
use crate::colours::{Colour, Colours};
use crate::renderer::wrap;

#[derive(Serialize)]
struct Document<'p> {
    version: u32,
    codes: &'p [CodePage],
}

/// As one JSON document with its line end; `docs/schema/codes.json` says what it looks like.
pub fn codes_json(pages: &[CodePage]) -> String {
    let document = Document {
        version: 1,
        codes: pages,
    };
    serde_json::to_string_pretty(&document).expect("INVARIANT: strings are JSON") + "\n"
}

/// A line for each code with its meaning, broken at so many columns.
pub fn codes_list(pages: &[CodePage], columns: usize) -> String {
    let widest = pages.iter().map(|page| page.code.len()).max().unwrap_or(0);
    let mut text = String::new();
    for page in pages {
        let line = format!("{:widest$}  {}", page.code, plain(&page.meaning));
        let _ = writeln!(text, "{}", wrap(&line, (0, widest + 2), columns));
    }
    text
}

impl CodePage {
    /// For people: the meaning, who can lift it, what to do, and examples; sentences are broken at so many columns.
    pub fn to_text(&self, columns: usize, colours: Colours) -> String {
        let title = wrap(&format!("{} ({})", self.code, self.title()), (0, 2), columns);
        let code = colours.with(Colour::Bold, &self.code);
        let mut text = title.replacen(&self.code, &code, 1) + "\n";
        let mut is_quoted = false;
        let mut paragraph: Vec<&str> = Vec::new();
        for line in self.text.lines() {
            if line.starts_with("```") {
                is_quoted = !is_quoted;
                flush(&mut paragraph, &mut text, columns);
                if is_quoted {
                    text.push('\n');
                }
            } else if is_quoted {
                let _ = writeln!(text, "{}", format!("    {line}").trim_end());
            } else if line.is_empty() {
                flush(&mut paragraph, &mut text, columns);
            } else {
                paragraph.push(line);
            }
        }
        flush(&mut paragraph, &mut text, columns);
        text
    }

    /// `reason of a denial: hard limits`; `finding: warning`
    fn title(&self) -> String {
        let kind = match self.kind {
            CodeKind::Reason => "reason of a denial",
            CodeKind::Finding => "finding",
            CodeKind::File => "in a file",
            CodeKind::Outcome => return "what came of something that was allowed".to_owned(),
        };
        let level = self.layer.as_deref().or(self.severity).unwrap_or_default();
        format!("{kind}: {level}")
    }
}

/// Writes the lines of a paragraph, or the items of a list, behind an empty line.
fn flush(paragraph: &mut Vec<&str>, text: &mut String, columns: usize) {
    if !paragraph.is_empty() {
        let sentence = plain(&paragraph.join(" "));
        let mut letters = sentence.chars();
        let first = letters.next().map(|first| first.to_uppercase().to_string());
        let sentence = first.unwrap_or_default() + letters.as_str();
        let _ = write!(text, "\n{}\n", wrap(&sentence, (0, 0), columns));
        paragraph.clear();
    }
}

/// Markdown as a terminal shows it: the words of a link, and nothing in bold.
fn plain(markdown: &str) -> String {
    let markdown = markdown.replace("**", "");
    let mut text = String::new();
    let mut rest = markdown.as_str();
    while let Some((before, behind)) = rest.split_once('[') {
        let link = behind
            .split_once("](")
            .and_then(|(words, behind)| Some((words, behind.split_once(')')?.1)));
        match link.filter(|(words, _)| !words.contains(['[', '`'])) {
            Some((words, behind)) => {
                text.push_str(before);
                text.push_str(words);
                rest = behind;
            }
            None => {
                text.push_str(before);
                text.push('[');
                rest = behind;
            }
        }
    }
    text + rest
}
