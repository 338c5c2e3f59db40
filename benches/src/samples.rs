//! Measurements of one quantity, and what is said about them.

use std::fmt;
use std::num::ParseFloatError;
use std::str::FromStr;

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
        !matches!(self, Self::MebibytesPerSecond | Self::PerSecond)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::MebibytesPerSecond => "MiB/s",
            Self::PerSecond => "/s",
            Self::Mebibytes => "MiB",
            Self::Kibibytes => "KiB",
        })
    }
}

/// One measurement a repetition, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn add(&mut self, sample: f64) {
        self.0.push(sample);
    }

    /// The middle one; the mean of the two in the middle of an even number. NaN without any.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let half = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            length if length % 2 == 1 => sorted[half],
            _ => (sorted[half - 1] + sorted[half]) / 2.0,
        }
    }

    /// The least sample that so many of a hundred do not exceed (the nearest rank). NaN without any.
    pub(crate) fn percentile(&self, hundredths: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * hundredths).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    pub(crate) fn most(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// How many times `base` this is, repetition by repetition: what disturbs the machine for a while disturbs both of
    /// a pair, and neither the median here nor that there.
    pub(crate) fn ratios_to(&self, base: &Self) -> Self {
        self.pairwise(base, |own, other| own / other)
    }

    /// How much more than `base` this is, repetition by repetition.
    pub(crate) fn above(&self, base: &Self) -> Self {
        self.pairwise(base, |own, other| own - other)
    }

    fn pairwise(&self, base: &Self, compare: impl Fn(f64, f64) -> f64) -> Self {
        let pairs = self.0.iter().zip(&base.0);
        Self(pairs.map(|(own, other)| compare(*own, *other)).collect())
    }
}

/// As [`Samples::from_str`] reads it.
impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(f64::to_string).collect();
        f.write_str(&texts.join(" "))
    }
}

impl FromStr for Samples {
    type Err = ParseFloatError;

    fn from_str(text: &str) -> Result<Self, ParseFloatError> {
        let samples: Result<Vec<f64>, _> = text.split(' ').map(str::parse).collect();
        samples.map(Samples)
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
    fn a_percentile_is_a_sample() {
        let hundred: Samples = (1..=100)
            .map(|number| number.to_string())
            .collect::<Vec<_>>()
            .join(" ")
            .parse()
            .unwrap();
        assert_eq!(
            [
                hundred.percentile(50),
                hundred.percentile(99),
                hundred.percentile(100)
            ],
            [50.0, 99.0, 100.0]
        );
        let three: Samples = "9 1 5".parse().unwrap();
        assert_eq!([three.percentile(50), three.percentile(99)], [5.0, 9.0]);
        assert!(Samples::default().percentile(99).is_nan());
    }

    #[test]
    fn pairs_are_compared_within_their_repetition() {
        let (own, base): (Samples, Samples) = ("2 40 6".parse().unwrap(), "1 10 4".parse().unwrap());
        assert_eq!(own.ratios_to(&base).to_string(), "2 4 1.5");
        assert_eq!(own.above(&base).to_string(), "1 30 2");
        assert_eq!(
            own.ratios_to(&base).median(),
            2.0,
            "not 6 / 4, the ratio of the medians"
        );
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
