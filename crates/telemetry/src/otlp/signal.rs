//! The kinds of telemetry.

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Counts.
    Metrics,
    /// Lines.
    Logs,
}

impl Signal {
    /// Its name, as paths of collectors have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// Its name, as variables of the environment have it.
    pub(super) fn capitals(self) -> String {
        self.name().to_ascii_uppercase()
    }

    /// The variable of OTLP's exporter for this signal alone.
    pub fn variable(self, what: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{}{what}", self.capitals())
    }
}
