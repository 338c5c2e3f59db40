//! What a process takes of the machine: memory, descriptors, processor time, threads. Read from `/proc`.

use std::fs;
use std::time::{Duration, Instant};

/// A process that is looked at from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    id: u32,
}

impl Watch {
    pub(crate) fn of(id: u32) -> Self {
        Self { id }
    }

    /// From now on [`peak`](Watch::peak) is of what comes. Where the kernel does not let us, it stays of all there was.
    pub(crate) fn forget_peak(self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.id), "5");
    }

    /// The most memory that was resident, in bytes.
    pub(crate) fn peak(self) -> u64 {
        self.status("VmHWM:")
    }

    /// Open descriptors.
    pub(crate) fn descriptors(self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id)).map_or(0, Iterator::count)
    }

    /// Processor time that it has used so far.
    pub(crate) fn processor(self) -> Duration {
        let fields = self.stat();
        let ticks: u64 = fields
            .iter()
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum();
        Duration::from_millis(ticks * 10)
    }

    /// Waits until it has ended, for so long at most. Says how long that took.
    pub(crate) fn ends_within(self, limit: Duration) -> Option<Duration> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if self.stat().first().is_none_or(|state| state == "Z") {
                return Some(start.elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// The fields of `/proc/PID/stat` behind the name, from the state on.
    fn stat(self) -> Vec<String> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id)).unwrap_or_default();
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        rest.split_whitespace().map(str::to_owned).collect()
    }

    fn status(self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        number.unwrap_or_default() * 1024
    }
}
