//! The name of a file in a tree: read before it is a path, so that none leads out of the tree.

use outport_policy::text;

use super::TreeError;

/// A path below a directory: parts between slashes, none of which is empty, `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TreePath(pub(super) String);

impl TreePath {
    /// Reads a name. Parts that are `.` are left out, as they stand at the beginning of names in archives.
    pub(crate) fn parse(name: &str) -> Result<Self, TreeError> {
        let wrong = |why| TreeError::Name {
            name: text::quote(name).to_string(),
            why,
        };
        if name.starts_with('/') {
            return Err(wrong("is absolute"));
        }
        if name.len() > LONGEST {
            return Err(wrong("is too long"));
        }
        if name.contains(['\0', '\\']) {
            return Err(wrong("has a character in it that names of files may not have"));
        }
        let mut parts = Vec::new();
        for part in name.split('/') {
            match part {
                "" | "." => {}
                ".." => return Err(wrong("leads out of its directory")),
                part if part.len() > 255 => return Err(wrong("is too long")),
                part => parts.push(part),
            }
        }
        if parts.is_empty() {
            return Err(wrong("is empty"));
        }
        if parts.len() > MOST_LEVELS {
            return Err(wrong("is in too many directories"));
        }
        Ok(Self(parts.join("/")))
    }

    /// The place of a link's target: from the link's directory, or from the root of the tree if it is absolute.
    pub(super) fn target(&self, target: &str) -> Option<Self> {
        let mut parts: Vec<&str> = match target.strip_prefix('/') {
            Some(_) => Vec::new(),
            None => {
                let mut parts: Vec<&str> = self.0.split('/').collect();
                parts.pop();
                parts
            }
        };
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop()?;
                }
                part => parts.push(part),
            }
        }
        Self::parse(&parts.join("/")).ok()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory that it is in, and its last part.
    pub(crate) fn split(&self) -> (Option<Self>, &str) {
        match self.0.rsplit_once('/') {
            Some((directory, last)) => (Some(Self(directory.to_owned())), last),
            None => (None, &self.0),
        }
    }

    /// The directories that it is in, the innermost first.
    pub(crate) fn above(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.split().0, |directory| directory.split().0)
    }

    pub(crate) fn join(&self, name: &str) -> Result<Self, TreeError> {
        Self::parse(&format!("{}/{name}", self.0))
    }
}

/// Directories in each other at most.
const MOST_LEVELS: usize = 128;

/// Bytes of one name at most, as on Linux.
const LONGEST: usize = 4095;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_below_its_directory() {
        let long = "a".repeat(256);
        let rows = [
            ("a/b", Some("a/b")),
            ("./a//b/.", Some("a/b")),
            ("...", Some("...")),
            ("a/..b", Some("a/..b")),
            ("", None),
            (".", None),
            ("/a", None),
            ("..", None),
            ("a/../b", None),
            ("a/b/..", None),
            ("a\0b", None),
            ("a\\..\\b", None),
            (&long, None),
        ];
        for (text, expected) in rows {
            let read = TreePath::parse(text);
            assert_eq!(read.as_ref().ok().map(TreePath::as_str), expected, "{text:?}");
        }
    }

    #[test]
    fn a_name_is_in_so_many_directories_at_most() {
        let deep = |levels: usize| format!("{}x", "d/".repeat(levels));
        assert!(TreePath::parse(&deep(MOST_LEVELS - 1)).is_ok());
        assert!(matches!(
            TreePath::parse(&deep(MOST_LEVELS)),
            Err(TreeError::Name { .. })
        ));
    }
}
