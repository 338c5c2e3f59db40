//! Telemetry by OTLP, as the standard variables of the environment ask for it.
//!
//! It is read once, when the log begins: what receives spans is part of that. Whoever runs guests says what is wrong with
//! the variables, and starts to send; all other commands do neither.

use std::sync::OnceLock;

use outport_check::{Code, Diagnostic, Severity};
use outport_telemetry::otlp::{Otlp, Settings, SettingsError, Signal};
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::failure::Failure;
use crate::files::Files;
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
        // The message names the variable.
        let diagnostic = Diagnostic::error(error.to_string());
        Failure::unusable(match &error.help {
            Some(help) => diagnostic.helped_by(help.clone()),
            None => diagnostic,
        })
    })?;
    for (variable, remark) in otlp.iter().flat_map(|otlp| &otlp.settings().remarks) {
        let warning = Diagnostic::warning(format!("`{variable}`: {remark}"));
        terminal.show(&warning.coded(Code::Input), &Files::default());
    }
    Ok(otlp.as_ref())
}

/// The line that says what goes where.
pub(crate) fn destinations(otlp: &Otlp) -> String {
    let destinations = otlp.settings().destinations().into_iter();
    let parts = destinations.map(|(server, signals)| {
        let signals: Vec<_> = signals.into_iter().map(Signal::name).collect();
        format!("{} to {server}", signals.join(", "))
    });
    format!("Telemetry: {}", parts.collect::<Vec<_>>().join("; "))
}

/// Sends a warning or error that is shown to the operator, if logs are exported.
pub(crate) fn tell(diagnostic: &Diagnostic) {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARN,
        _ => return,
    };
    // A command that does not read the variables sends nothing.
    let Some(Ok(Some(otlp))) = READ.get() else { return };
    // Lines of files, which may be shown beside it, are left here.
    let help = diagnostic.help.iter().map(|help| format!("\n  = help: {help}"));
    let text: String = [diagnostic.message.clone()].into_iter().chain(help).collect();
    otlp.tell(level, &text, diagnostic.component.as_deref());
}

fn read() -> &'static Result<Option<Otlp>, SettingsError> {
    READ.get_or_init(|| {
        let settings = Settings::read(&|name| std::env::var_os(name))?;
        Ok(settings.map(Otlp::new))
    })
}
