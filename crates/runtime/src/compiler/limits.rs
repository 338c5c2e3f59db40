//! Limits on the time and memory that compiling a component may take.
//!
//! Both grow with the component. A large one takes long and no author can help it; a small one that takes long was made
//! to. A CPython component of 18 MB took 16 s and 450 MiB, of the 206 s and 1.6 GiB that it may have.

use std::time::Duration;

/// The limits of compiling one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CompileLimits {
    /// Processor time, over all threads. Default: 30 s and 10 s for each MiB of the component.
    pub time: CompileLimit<Duration>,
    /// Memory that is in use, in bytes. Default: 512 MiB and 64 MiB for each MiB of the component.
    pub memory: CompileLimit<u64>,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CompileLimit<T> {
    /// The limit that follows from the component's size.
    #[default]
    BySize,
    /// The same for every component.
    Of(T),
    /// There is none.
    None,
}

impl CompileLimits {
    /// Processor time for a component of so many bytes; none without limit.
    pub fn time_for(&self, size: u64) -> Option<Duration> {
        let by_size = TIME + Duration::from_secs_f64(TIME_PER_MIB.as_secs_f64() * in_mib(size));
        self.time.or(by_size)
    }

    /// Bytes of memory for a component of so many bytes; none without limit.
    pub fn memory_for(&self, size: u64) -> Option<u64> {
        let factor = MEMORY_PER_MIB >> 20;
        self.memory.or(MEMORY.saturating_add(size.saturating_mul(factor)))
    }
}

impl<T: Copy> CompileLimit<T> {
    fn or(self, by_size: T) -> Option<T> {
        match self {
            Self::BySize => Some(by_size),
            Self::Of(limit) => Some(limit),
            Self::None => None,
        }
    }
}

fn in_mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

const TIME: Duration = Duration::from_secs(30);
const TIME_PER_MIB: Duration = Duration::from_secs(10);
const MEMORY: u64 = 512 << 20;
const MEMORY_PER_MIB: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_grow_with_the_component_unless_they_are_given() {
        let default = CompileLimits::default();
        // (bytes, seconds, MiB)
        for (size, seconds, memory) in [(0, 30, 512), (1 << 20, 40, 576), (18 << 20, 210, 1664)] {
            assert_eq!(
                default.time_for(size),
                Some(Duration::from_secs(seconds)),
                "{size}"
            );
            assert_eq!(default.memory_for(size), Some(memory << 20), "{size}");
        }
        let given = CompileLimits {
            time: CompileLimit::Of(Duration::from_secs(1)),
            memory: CompileLimit::None,
        };
        assert_eq!(given.time_for(1 << 30), Some(Duration::from_secs(1)));
        assert_eq!(given.memory_for(1 << 30), None);
        assert_eq!(default.memory_for(u64::MAX), Some(u64::MAX));
    }
}
