//! Traces, metrics and logs by OTLP.
