//! `docs/performance.md`: its words are written by people, its tables by this program, between markers:
//!
//! ```text
//! <!-- measured: http -->
//! …
//! <!-- end -->
//! ```
//!
//! Each table has a picture beside it, `docs/performance/NAME.svg`, and its numbers in `NAME.tsv`. What was not measured
//! in a run stays as it is; the table of targets is made of everything that was measured last. Pods have their table in
//! `docs/cluster.md`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{picture, table::Table, targets};

pub(crate) struct Page {
    folder: PathBuf,
}

impl Page {
    /// The page in the folder `docs`.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Puts a table and its picture into the page.
    pub(crate) fn show(&self, table: &Table) -> io::Result<()> {
        let pictures = self.folder.join("performance");
        fs::create_dir_all(&pictures)?;
        fs::write(
            pictures.join(table.name).with_extension("svg"),
            picture::svg(table),
        )?;
        table.record().write(&pictures, table.name)?;
        let content = format!(
            "{}\n![{}](performance/{}.svg)\n",
            table.markdown(),
            table.title,
            table.name
        );
        self.put(table.name, &content)?;
        self.put("targets", &targets::markdown(&pictures))
    }

    fn put(&self, name: &str, content: &str) -> io::Result<()> {
        self.put_into("performance.md", name, content)
    }

    /// Replaces what stands between the markers of `name` in a page of the folder.
    pub(crate) fn put_into(&self, page: &str, name: &str, content: &str) -> io::Result<()> {
        let path = self.folder.join(page);
        let text = fs::read_to_string(&path)?;
        let replaced = between(&text, name, content).ok_or_else(|| {
            io::Error::other(format!(
                "`{}` has no place for `{name}`: write `{}`",
                path.display(),
                begin(name)
            ))
        })?;
        fs::write(path, replaced)
    }
}

const END: &str = "<!-- end -->";

fn begin(name: &str) -> String {
    format!("<!-- measured: {name} -->\n")
}

fn between(text: &str, name: &str, content: &str) -> Option<String> {
    let begin = begin(name);
    let from = text.find(&begin)? + begin.len();
    let to = from + text[from..].find(END)?;
    Some(format!("{}\n{content}\n{}", &text[..from], &text[to..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_of_a_name_is_replaced() {
        let text =
            "a\n<!-- measured: x -->\nold\n<!-- end -->\nb\n<!-- measured: y -->\nkept\n<!-- end -->\n";
        let new = between(text, "x", "new").unwrap();
        assert_eq!(
            new,
            "a\n<!-- measured: x -->\n\nnew\n<!-- end -->\nb\n<!-- measured: y -->\nkept\n<!-- end -->\n"
        );
        assert_eq!(between(&new, "x", "new").unwrap(), new);
        assert_eq!(between(text, "z", "new"), None);
    }
}
