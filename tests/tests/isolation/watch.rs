//! What a process takes of the machine: memory, descriptors, processor time; and what it waits for, since others have the
//! processor. Read from `/proc`.

use std::collections::HashMap;
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

    /// How long each of its threads could have gone on so far, and waited for a processor.
    pub(crate) fn waited(self) -> HashMap<String, Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.id));
        let threads = threads.into_iter().flatten().flatten();
        threads
            .filter_map(|thread| {
                let name = thread.file_name().into_string().ok()?;
                Some((
                    name,
                    waited(&thread.path().join("schedstat").display().to_string()),
                ))
            })
            .collect()
    }

    /// The longest wait of one of its threads since then.
    pub(crate) fn waited_since(self, before: &HashMap<String, Duration>) -> Duration {
        let now = self.waited();
        let waits = now.iter().map(|(thread, waited)| {
            let before = before.get(thread).copied().unwrap_or_default();
            waited.saturating_sub(before)
        });
        waits.max().unwrap_or_default()
    }

    /// Processor time that others had so far, who are neither it nor this test.
    pub(crate) fn of_others(self) -> Duration {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let ticks = stat.lines().next().unwrap_or_default().split_whitespace();
        // All but the time that nobody had, which are the fourth and the fifth.
        let used = ticks
            .skip(1)
            .take(8)
            .enumerate()
            .filter(|(number, _)| ![3, 4].contains(number));
        let used: u64 = used.filter_map(|(_, ticks)| ticks.parse::<u64>().ok()).sum();
        let test = Self::of(std::process::id()).processor();
        Duration::from_millis(used * 10).saturating_sub(self.processor() + test)
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

/// How long this thread could have gone on so far, and waited for a processor.
pub(crate) fn waited_here() -> Duration {
    waited("/proc/thread-self/schedstat")
}

/// The second number is of nanoseconds on the run queue; nothing where the kernel does not count them.
fn waited(schedstat: &str) -> Duration {
    let numbers = fs::read_to_string(schedstat).unwrap_or_default();
    let waited = numbers
        .split_whitespace()
        .nth(1)
        .and_then(|number| number.parse().ok());
    Duration::from_nanos(waited.unwrap_or_default())
}
