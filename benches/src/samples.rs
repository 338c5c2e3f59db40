//! Measurements of one quantity, and what is said about them.

use std::fmt;

/// What a number counts, which decides how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    MebibytesPerSecond,
    PerSecond,
    Mebibytes,
    Kibibytes,
}

impl Unit {
    /// Whether less of it is better.
    pub(crate) fn less_is_better(self) -> bool {
        !matches!(self, Unit::MebibytesPerSecond | Unit::PerSecond)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unit::Nanoseconds => "ns",
            Unit::Microseconds => "µs",
            Unit::Milliseconds => "ms",
            Unit::MebibytesPerSecond => "MiB/s",
            Unit::PerSecond => "/s",
            Unit::Mebibytes => "MiB",
            Unit::Kibibytes => "KiB",
        })
    }
}

/// One measurement a repetition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn add(&mut self, sample: f64) {
        let at = self.0.partition_point(|own| *own < sample);
        self.0.insert(at, sample);
    }

    /// The middle one; the mean of the two in the middle of an even number. NaN without any.
    pub(crate) fn median(&self) -> f64 {
        let (half, odd) = (self.0.len() / 2, self.0.len() % 2 == 1);
        match self.0.len() {
            0 => f64::NAN,
            _ if odd => self.0[half],
            _ => (self.0[half - 1] + self.0[half]) / 2.0,
        }
    }

    pub(crate) fn least(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn most(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// Three significant digits are all that a busy machine gives.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "–".to_owned(),
        least if least < 10.0 => format!("{value:.2}"),
        few if few < 100.0 => format!("{value:.1}"),
        _ => {
            let digits = format!("{value:.0}");
            let mut text = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at) % 3 == 0 && digit != '-' {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_the_samples() {
        for (samples, median) in [
            (&[3.0][..], 3.0),
            (&[9.0, 1.0, 2.0], 2.0),
            (&[4.0, 1.0, 2.0, 9.0], 3.0),
        ] {
            let mut all = Samples::default();
            samples.iter().for_each(|sample| all.add(*sample));
            assert_eq!(all.median(), median, "{samples:?}");
        }
        assert!(Samples::default().median().is_nan());
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        for (value, text) in [
            (0.5, "0.50"),
            (12.34, "12.3"),
            (123.4, "123"),
            (12345.6, "12,346"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
