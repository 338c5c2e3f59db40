//! Files that a guest may read: the items of `files`.

use crate::reading::fields::Node;
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::source::Located;

/// One item of `files`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mount {
    /// `"images/*.png"`: files under the manifest's directory, at the same path in the guest.
    Pattern(String),
    /// `{ source = "assets", destination = "/" }`
    Placement {
        /// A file or directory, relative to the manifest.
        source: String,
        /// Its path in the guest, absolute.
        destination: String,
    },
}

/// Reads `files`.
pub(crate) fn read_mounts(found: &mut Findings, node: Node<'_>) -> Vec<Located<Mount>> {
    let items = node.items(found, "an array");
    items
        .into_iter()
        .filter_map(|item| read_mount(found, item))
        .collect()
}

fn read_mount(found: &mut Findings, node: Node<'_>) -> Option<Located<Mount>> {
    if node.is_string() {
        return read_pattern(found, node);
    }
    if !node.is_table() {
        return node.wrong_type(found, "a pattern or a table with `source` and `destination`");
    }
    let mut fields = node.table(found, "an item of `files`")?;
    let source = fields
        .require(found, "source")
        .and_then(|node| node.filled_string(found));
    let destination = fields
        .require(found, "destination")
        .and_then(|node| node.filled_string(found));
    fields.finish(found);
    let (source, destination) = (source?, destination?);
    if !is_absolute_and_stays(&destination.value) {
        let wrong = "the destination in the guest must be an absolute path without `..`";
        let help = "start it with `/`, such as `/assets`";
        found.report(&destination.span, Mistake::Files { wrong, help });
        return None;
    }
    let mount = Mount::Placement {
        source: source.value,
        destination: destination.value,
    };
    Some(Located::new(mount, node.span()))
}

fn read_pattern(found: &mut Findings, node: Node<'_>) -> Option<Located<Mount>> {
    let pattern = node.filled_string(found)?;
    if matches!(pattern.value.rsplit('/').next(), Some("." | "..")) {
        let wrong = "a pattern cannot end in `.` or `..`";
        let help = "write `{ source = \"…\", destination = \"/\" }` or a pattern that ends in `**/*`";
        found.report(&pattern.span, Mistake::Files { wrong, help });
        return None;
    }
    Some(pattern.map(Mount::Pattern))
}

fn is_absolute_and_stays(path: &str) -> bool {
    path.starts_with('/') && !path.split('/').any(|step| step == "..")
}
