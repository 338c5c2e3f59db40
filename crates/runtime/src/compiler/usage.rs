//! The time and memory that another process has used up, as `/proc` has it. Where there is none nothing is known, and
//! the limits that the kernel itself holds are all there is.

use std::fs;
use std::time::Duration;

use rustix::process::Pid;

/// Processor time of all its threads.
pub(super) fn processor_time(pid: Pid) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    time_in(&text)
}

/// Bytes of memory that are in use.
pub(super) fn memory(pid: Pid) -> Option<u64> {
    status(pid, "VmRSS:")
}

/// Bytes of memory that this process may write to, in use or not: what `RLIMIT_DATA` is about.
pub(super) fn own_data() -> Option<u64> {
    status(rustix::process::getpid(), "VmData:")
}

fn status(pid: Pid, field: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1024))
}

/// See proc_pid_stat(5). The name of the program is in parentheses, and may hold anything.
fn time_in(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    let ticks = user.saturating_add(system);
    Some(Duration::from_millis(
        ticks.saturating_mul(1000 / TICKS_PER_SECOND),
    ))
}

/// The unit that `/proc` counts in, on every processor that Outport is built for.
const TICKS_PER_SECOND: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_read_whatever_the_program_is_called() {
        let stat = "7 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0";
        assert_eq!(time_in(stat), Some(Duration::from_secs(2)));
        assert_eq!(time_in(""), None);
        let own = rustix::process::getpid();
        assert!(memory(own).is_some_and(|bytes| bytes > 1 << 16));
        assert!(own_data().is_some_and(|bytes| bytes > 1 << 16));
        assert!(processor_time(own).is_some());
    }
}
