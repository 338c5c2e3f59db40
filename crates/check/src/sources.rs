//! The files that diagnostics quote. What is secret in them is never quoted.

use std::fmt;
use std::path::Path;

use outport_manifest::{SourceFile, Span};

/// Files that were read, kept to be quoted.
#[derive(Clone, Default)]
pub struct Sources {
    files: Vec<Kept>,
}

#[derive(Clone)]
struct Kept {
    file: SourceFile,
    /// The text with `*` for each byte that is concealed; nothing where none is.
    concealed: Option<String>,
}

impl Sources {
    /// Adds a file.
    pub fn add(&mut self, file: SourceFile) {
        self.files.push(Kept {
            file,
            concealed: None,
        });
    }

    /// From now on these bytes of the files at `path` are not quoted.
    pub fn conceal(&mut self, path: &Path, secret: Span) {
        for kept in self.files.iter_mut().filter(|kept| kept.file.path() == path) {
            let text = kept.concealed.get_or_insert_with(|| kept.file.text().to_owned());
            if let Some(hidden) = text.get(secret.clone()) {
                // One for each byte: no span behind it moves. A line end is no part of any other character.
                let star = |byte| if byte == b'\n' { '\n' } else { '*' };
                let stars: String = hidden.bytes().map(star).collect();
                text.replace_range(secret.clone(), &stars);
            }
        }
    }

    /// The file at `path` as it is: to compare, not to show.
    pub fn file(&self, path: &Path) -> Option<&SourceFile> {
        self.kept(path).map(|kept| &kept.file)
    }

    /// The text of the file at `path`, as a [`Location`](outport_policy::Location) names it, with `*` for each byte
    /// that is concealed.
    pub fn text(&self, path: &str) -> Option<&str> {
        let kept = self.kept(Path::new(path)).or_else(|| {
            let mut files = self.files.iter();
            files.find(|kept| kept.file.shown() == path)
        })?;
        Some(kept.concealed.as_deref().unwrap_or(kept.file.text()))
    }

    fn kept(&self, path: &Path) -> Option<&Kept> {
        self.files.iter().find(|kept| kept.file.path() == path)
    }
}

/// Without what is in the files.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self.files.iter().map(|kept| kept.file.path());
        f.debug_list().entries(paths).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_concealed_is_not_quoted_and_moves_nothing() {
        let mut sources = Sources::default();
        sources.add(SourceFile::new("spin.toml", "a = \"schlüssel\"\nb = 1"));
        sources.conceal(Path::new("spin.toml"), 5..15);
        assert_eq!(sources.text("spin.toml"), Some("a = \"**********\"\nb = 1"));
        assert_eq!(sources.text("another"), None);
        let file = sources.file(Path::new("spin.toml")).unwrap();
        assert_eq!(file.text(), "a = \"schlüssel\"\nb = 1");
    }

    #[test]
    fn a_secret_may_be_longer_than_any_width_of_a_format() {
        let mut sources = Sources::default();
        let text = format!("ä\n{}", "ü".repeat(100_000));
        sources.add(SourceFile::new("a", text.as_str()));
        sources.conceal(Path::new("a"), 0..text.len());
        let concealed = sources.text("a").unwrap();
        assert_eq!(concealed, format!("**\n{}", "*".repeat(200_000)));
    }
}
