//! The text between the entries of a list: white space, line ends and comments.

use toml_edit::Value;

/// Up to the end of the first line, where a comment is about what stands before it, and everything from there.
pub(super) fn first_line(layout: &str) -> (&str, &str) {
    layout.split_at(layout.find('\n').unwrap_or(layout.len()))
}

/// The last line with its line end in front: how the entry behind it is laid out.
pub(super) fn last_line(layout: &str) -> &str {
    &layout[layout.rfind('\n').unwrap_or_default()..]
}

/// The comments in such layout, without what follows the last of them.
pub(super) fn comment(layout: &str) -> &str {
    if layout.contains('#') {
        layout.trim_end()
    } else {
        ""
    }
}

/// Layout behind comments: a comment ends with its line.
pub(super) fn joined(comments: &str, layout: &str) -> String {
    if comments.is_empty() || starts_a_line(layout) {
        format!("{comments}{layout}")
    } else {
        format!("{comments}\n{layout}")
    }
}

fn starts_a_line(layout: &str) -> bool {
    layout.trim_start_matches([' ', '\t', '\r']).starts_with('\n')
}

pub(super) fn suffix(value: &Value) -> String {
    let suffix = value.decor().suffix().and_then(|suffix| suffix.as_str());
    suffix.unwrap_or_default().to_owned()
}

pub(super) fn prefix(value: &Value) -> String {
    let prefix = value.decor().prefix().and_then(|prefix| prefix.as_str());
    prefix.unwrap_or_default().to_owned()
}

/// Comments that wait for the entry that they stand before.
#[derive(Default)]
pub(super) struct Comments {
    /// One that ends the line of what is already written, with the space before it.
    behind: String,
    /// The others, each for a line of its own.
    lines: Vec<String>,
    /// They wait for the list itself, which has a single line.
    are_for_the_list: bool,
}

impl Comments {
    /// Comments that go above the list.
    pub(super) fn for_the_list() -> Self {
        Self {
            are_for_the_list: true,
            ..Self::default()
        }
    }

    /// One that ends a line.
    pub(super) fn end_line(&mut self, layout: &str) {
        if self.behind.is_empty() && self.lines.is_empty() {
            comment(layout).clone_into(&mut self.behind)
        } else {
            self.add_lines(layout)
        }
    }

    /// All that are in this layout, on lines of their own.
    pub(super) fn add_lines(&mut self, layout: &str) {
        let lines = layout.lines().map(str::trim);
        let comments = lines.filter(|line| line.starts_with('#'));
        self.lines.extend(comments.map(str::to_owned));
    }

    /// The text to write before an entry or the end of the list, which is laid out like this.
    pub(super) fn before(&mut self, layout: &str, indent: &str) -> String {
        if self.are_for_the_list {
            return layout.to_owned();
        }
        let mut text = std::mem::take(&mut self.behind);
        for line in self.lines.drain(..) {
            text = format!("{text}\n{indent}{line}");
        }
        joined(&text, layout)
    }

    /// All of them, each on a line of its own, and nothing else on the last.
    pub(super) fn above(self) -> String {
        let behind = self.behind.trim_start().to_owned();
        let all = [behind]
            .into_iter()
            .filter(|line| !line.is_empty())
            .chain(self.lines);
        all.map(|line| line + "\n").collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.behind.is_empty() && self.lines.is_empty()
    }
}
