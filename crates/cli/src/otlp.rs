//! Telemetry by OTLP, as the standard variables of the environment ask for it.
//!
//! It is read once, when the log begins: what receives spans is part of that. Whoever runs guests says what is wrong with
//! the variables, and starts to send; all other commands do neither.

use std::sync::OnceLock;

use outport_check::{Code, Diagnostic};
use outport_telemetry::otlp::{Otlp, Settings, SettingsError};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::failure::Failure;
use crate::files::Files;
use crate::spin_environment::location_of;
use crate::terminal::Terminal;

static READ: OnceLock<Result<Option<Otlp>, SettingsError>> = OnceLock::new();

/// What receives spans and warnings, if any are exported.
pub(crate) fn layer<S>() -> Option<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    match read() {
        Ok(Some(otlp)) => otlp.layer(),
        Ok(None) | Err(_) => None,
    }
}

/// What is exported, if anything is. What the environment asks for in vain is a warning.
pub(crate) fn wanted(terminal: Terminal) -> Result<Option<&'static Otlp>, Failure> {
    let otlp = read().as_ref().map_err(|error| {
        let diagnostic = Diagnostic::error(error.to_string()).at(location_of(&error.variable));
        Failure::unusable(match error.help {
            Some(help) => diagnostic.helped_by(help),
            None => diagnostic,
        })
    })?;
    for (variable, remark) in otlp.iter().flat_map(|otlp| &otlp.settings().remarks) {
        let warning = Diagnostic::warning(format!("`{variable}`: {remark}"));
        terminal.show(
            &warning.coded(Code::Input).at(location_of(variable)),
            &Files::default(),
        );
    }
    Ok(otlp.as_ref())
}

fn read() -> &'static Result<Option<Otlp>, SettingsError> {
    READ.get_or_init(|| {
        let settings = Settings::read(&|name| std::env::var_os(name))?;
        Ok(settings.map(Otlp::new))
    })
}
