//! What pods take of a node's memory, in three parts that do not overlap but for the last:
//!
//! | | what | read from |
//! | --- | --- | --- |
//! | groups | the control groups of containers and sandboxes, without pages of files that the kernel can drop: what a kubelet counts | `memory.usage_in_bytes` or `memory.current`, less `inactive_file` |
//! | shims | containerd's shim of each pod, which is in no pod's group; what it shares with other shims is divided by them | `Pss` of `smaps_rollup` |
//! | node | the whole machine: with what the kernel holds for namespaces and devices, and with whatever else runs | `MemAvailable` |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::node::{Node, cgroup};

/// Bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    pub(super) groups: f64,
    pub(super) shims: f64,
    pub(super) node: f64,
}

impl Used {
    pub(super) fn now(node: &Node) -> io::Result<Self> {
        Ok(Self {
            groups: of_groups(&groups())?,
            shims: of_shims(node)?,
            node: -field(&fs::read_to_string("/proc/meminfo")?, "MemAvailable:") * 1024.0,
        })
    }

    /// What each pod adds: the slope of the line that is nearest to what was seen with so many pods.
    pub(super) fn each(looks: &[(usize, Self)]) -> Self {
        let slope = |part: fn(&Self) -> f64| {
            let count = looks.len() as f64;
            let middle = looks.iter().map(|(pods, _)| *pods as f64).sum::<f64>() / count;
            let mean = looks.iter().map(|(_, used)| part(used)).sum::<f64>() / count;
            let (mut together, mut spread) = (0.0, 0.0);
            for (pods, used) in looks {
                let from_middle = *pods as f64 - middle;
                together += from_middle * (part(used) - mean);
                spread += from_middle * from_middle;
            }
            together / spread
        };
        Self {
            groups: slope(|used| used.groups),
            shims: slope(|used| used.shims),
            node: slope(|used| used.node),
        }
    }
}

/// The group of all pods, in the first or the second version of control groups.
fn groups() -> PathBuf {
    let first = PathBuf::from(format!("/sys/fs/cgroup/memory{}", cgroup()));
    if first.exists() {
        first
    } else {
        PathBuf::from(format!("/sys/fs/cgroup{}", cgroup()))
    }
}

/// Of the groups that have none below them, which are those with processes.
fn of_groups(group: &Path) -> io::Result<f64> {
    let mut below = Vec::new();
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            below.push(entry.path());
        }
    }
    if !below.is_empty() {
        return below.iter().map(|group| of_groups(group)).sum();
    }
    let usage = fs::read_to_string(group.join("memory.usage_in_bytes"))
        .or_else(|_| fs::read_to_string(group.join("memory.current")))?;
    let statistics = fs::read_to_string(group.join("memory.stat"))?;
    Ok(usage.trim().parse().unwrap_or(0.0) - field(&statistics, "inactive_file"))
}

/// Of those that report to this node's containerd.
fn of_shims(node: &Node) -> io::Result<f64> {
    let socket = node.path("containerd.sock").to_string_lossy().into_owned();
    let mut sum = 0.0;
    for entry in fs::read_dir("/proc")? {
        let process = entry?.path();
        // Processes end while this looks at them.
        let command = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
        if command.contains("containerd-shim") && command.contains(&socket) {
            let memory = fs::read_to_string(process.join("smaps_rollup")).unwrap_or_default();
            sum += field(&memory, "Pss:") * 1024.0;
        }
    }
    Ok(sum)
}

/// The number behind a word at the begin of a line; 0 where there is none.
fn field(text: &str, name: &str) -> f64 {
    let mut lines = text.lines().map(str::split_whitespace);
    let found = lines.find_map(|mut words| (words.next() == Some(name)).then(|| words.next()));
    found
        .flatten()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_share_is_in_no_slope() {
        let look = |pods: usize| {
            let groups = 1000.0 + 20.0 * pods as f64;
            let used = Used {
                groups,
                shims: 0.0,
                node: -3.0 * pods as f64,
            };
            (pods, used)
        };
        let each = Used::each(&[look(10), look(20), look(50)]);
        assert!((each.groups - 20.0).abs() < 1e-9, "{each:?}");
        assert!(each.shims.abs() < 1e-9, "{each:?}");
        assert!((each.node + 3.0).abs() < 1e-9, "{each:?}");
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "total_inactive_file 7\ninactive_file 5\nPss:      12 kB\n";
        assert_eq!(field(text, "inactive_file"), 5.0);
        assert_eq!(field(text, "Pss:"), 12.0);
        assert_eq!(field(text, "cache"), 0.0);
    }
}
