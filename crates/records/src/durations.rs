//! How long things took, in little room: the number, the total, the longest, and the median to within an eighth.
//!
//! Milliseconds are counted in classes that grow with what they hold: up to 8 each has its own, and from there on each
//! doubling has four. 40 doublings are 34 years; what is longer counts as that.

/// The times that something took.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    classes: Vec<u32>,
    count: u64,
    total: u64,
    max: u64,
}

impl Durations {
    /// Adds one of so many milliseconds.
    pub fn add(&mut self, millis: u64) {
        let class = class_of(millis);
        if self.classes.len() <= class {
            self.classes.resize(class + 1, 0);
        }
        self.classes[class] = self.classes[class].saturating_add(1);
        self.count += 1;
        self.total = self.total.saturating_add(millis);
        self.max = self.max.max(millis);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them together, in milliseconds.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The longest, in milliseconds.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The time in milliseconds that half of them took at most, to within an eighth; none where there are none.
    pub fn median(&self) -> Option<u64> {
        let half = self
            .classes
            .iter()
            .map(|count| u64::from(*count))
            .sum::<u64>()
            .div_ceil(2);
        let mut seen = 0;
        let class = self.classes.iter().position(|count| {
            seen += u64::from(*count);
            seen >= half
        })?;
        Some(middle_of(class).min(self.max))
    }
}

fn class_of(millis: u64) -> usize {
    if millis < 8 {
        return usize::try_from(millis).unwrap_or_default();
    }
    let octave = millis.ilog2().min(40);
    let quarter = (millis.min((1 << 41) - 1) >> (octave - 2)) & 3;
    8 + (octave as usize - 3) * 4 + usize::try_from(quarter).unwrap_or_default()
}

fn middle_of(class: usize) -> u64 {
    if class < 8 {
        return class as u64;
    }
    let (octave, quarter) = ((class - 8) / 4 + 3, (class - 8) % 4);
    let width = 1u64 << (octave - 2);
    (4 + quarter as u64) * width + width / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn classes_follow_each_other_without_a_gap() {
        let mut before = 0;
        for millis in (0..100_000).chain([1 << 40, u64::MAX]) {
            let class = class_of(millis);
            assert!(
                class == before || class == before + 1 || millis >= 1 << 40,
                "{millis}"
            );
            before = class;
        }
        assert_eq!(class_of(u64::MAX), class_of((1 << 41) - 1));
        assert_eq!(Durations::default().median(), None);
    }

    proptest! {
        #[test]
        fn the_median_is_that_of_a_sorted_list(mut times in proptest::collection::vec(0u64..10_000_000, 1..200)) {
            let mut durations = Durations::default();
            times.iter().for_each(|millis| durations.add(*millis));
            times.sort_unstable();
            let expected = times[times.len().div_ceil(2) - 1];
            let found = durations.median().unwrap();
            prop_assert!(found.abs_diff(expected) <= expected.div_ceil(8), "{} for {}", found, expected);
            prop_assert_eq!(durations.max(), *times.last().unwrap());
            prop_assert_eq!((durations.count(), durations.total()), (times.len() as u64, times.iter().sum()));
        }
    }
}
