//! The changes that guests can make by way of the directories that they are shown.

use std::path::{Path, PathBuf};

use outport_runtime::guest_env::{Access, Directory};

/// The directory by which a guest could write to what `path` leads to, or make it lead elsewhere. There need not be a
/// file yet.
pub(crate) fn writable_by<'d>(path: &Path, guests: &'d [Directory]) -> Option<&'d Directory> {
    let path = std::path::absolute(path).ok()?;
    // Each part of the path stands in a directory, and may be a link to another one.
    let parts = path.ancestors().filter_map(|part| {
        let folder = part.parent()?.canonicalize().ok()?;
        Some(folder.join(part.file_name()?))
    });
    let places: Vec<PathBuf> = parts.chain(path.canonicalize()).collect();
    guests
        .iter()
        .filter(|shared| shared.access == Access::Write)
        .find(|shared| {
            let shared = shared.host.canonicalize();
            shared.is_ok_and(|shared| places.iter().any(|place| place.starts_with(&shared)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_hide_nothing_and_a_neighbour_is_out_of_reach() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        std::fs::create_dir_all(at("logs/guest")).unwrap();
        std::fs::create_dir_all(at("shared")).unwrap();
        let link = |target: &str, path: &str| std::os::unix::fs::symlink(at(target), at(path)).unwrap();
        link("shared", "also-shared");
        link("logs", "shared/logs");
        link("logs/a.jsonl", "shared/a.jsonl");
        std::fs::write(at("logs/a.jsonl"), "").unwrap();
        let rows = [
            ("logs/a.jsonl", "logs", true),
            ("logs/new.jsonl", "logs", true),
            ("logs/a.jsonl", "", true),
            ("logs/guest/../a.jsonl", "logs", true),
            ("logs/a.jsonl", "logs/guest", false),
            ("logs/a.jsonl", "shared", false),
            ("shared/a.jsonl", "shared", true),
            ("shared/a.jsonl", "logs", true),
            ("shared/logs/a.jsonl", "shared", true),
            ("shared/logs/a.jsonl", "logs", true),
            ("also-shared/new.jsonl", "shared", true),
            ("shared/new.jsonl", "also-shared", true),
            ("nowhere/a.jsonl", "shared", false),
        ];
        for (path, shared, expected) in rows {
            let mut guest = Directory {
                host: at(shared),
                guest: "/data".to_owned(),
                access: Access::Write,
            };
            let found = writable_by(&at(path), std::slice::from_ref(&guest)).is_some();
            assert_eq!(found, expected, "{path} {shared}");
            guest.access = Access::Read;
            assert_eq!(writable_by(&at(path), &[guest]), None);
        }
    }
}
