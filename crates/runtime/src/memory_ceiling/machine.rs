//! The memory that this process can have: what the machine has, or what one of the control groups that the process is
//! in leaves it of that, whichever is less.
//!
//! | file | what it says |
//! | --- | --- |
//! | `/proc/meminfo` | `MemTotal:`, in KiB |
//! | `/proc/self/cgroup` | `0::/a/b`: the group of version 2 |
//! | `/sys/fs/cgroup/a/b/memory.max`, and that of each group above | bytes, or `max` |
//! | `/sys/fs/cgroup/memory/memory.limit_in_bytes` | the same of version 1, as a container sees its own |
//!
//! A file that is not there says nothing, as on other systems.

use std::fs;
use std::path::Path;

/// Bytes. None where nobody says.
pub(super) fn memory() -> Option<usize> {
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = total(&fs::read_to_string("/proc/meminfo").unwrap_or_default());
    machine
        .into_iter()
        .chain(left_by_groups(Path::new("/sys/fs/cgroup"), &group))
        .min()
}

/// The memory of the machine by `/proc/meminfo`.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The memory that the groups under `root` leave to a process in those that `group` names.
fn left_by_groups(root: &Path, group: &str) -> Option<usize> {
    let path = group
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .unwrap_or_default();
    let group = root.join(path);
    let of_version_2 = group
        .ancestors()
        .take_while(|group| group.starts_with(root))
        .filter_map(|group| bytes(&group.join("memory.max")));
    of_version_2
        .chain(bytes(&root.join("memory/memory.limit_in_bytes")))
        .min()
}

fn bytes(file: &Path) -> Option<usize> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_how_much_it_has() {
        for (meminfo, bytes) in [
            (
                "MemTotal:       25276502 kB\nMemFree: 1 kB\n",
                Some(25_276_502 * 1024),
            ),
            ("MemFree: 1 kB\nMemTotal: 4 kB", Some(4096)),
            ("MemTotal: 4 MB\n", None),
            ("MemTotal: x kB\n", None),
            ("", None),
        ] {
            assert_eq!(total(meminfo), bytes, "{meminfo:?}");
        }
    }

    #[test]
    fn the_smallest_group_on_the_way_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |group: &str, file: &str, text: &str| {
            let group = root.path().join(group);
            fs::create_dir_all(&group).unwrap();
            fs::write(group.join(file), text).unwrap();
        };
        let left = |group: &str| left_by_groups(root.path(), group);
        assert_eq!(left("0::/a/b\n"), None);
        write("a/b", "memory.max", "max\n");
        write("a", "memory.max", "4096\n");
        write("c", "memory.max", "1024\n");
        for (group, bytes) in [
            ("0::/a/b\n", Some(4096)),
            ("12:cpu:/x\n0::/a\n", Some(4096)),
            ("0::/c\n", Some(1024)),
            ("0::/\n", None),
            ("", None),
        ] {
            assert_eq!(left(group), bytes, "{group:?}");
        }
        write("memory", "memory.limit_in_bytes", "2048\n");
        assert_eq!(left("4:memory:/x\n"), Some(2048));
        assert_eq!(left("0::/a/b\n"), Some(2048));
    }
}
