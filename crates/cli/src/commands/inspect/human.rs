//! What was found, for people.

use std::fmt::Write as _;

use outport_policy::text;
use outport_runtime::component::ComponentError;
use outport_runtime::inspection::{Description, Kind, ModuleKind, Producer};

use super::inspected::{Inspected, NotRead, is_there, uses};

pub(super) fn human(inspected: &[Inspected]) -> String {
    let mut told = String::new();
    for (number, one) in inspected.iter().enumerate() {
        if number > 0 {
            told.push('\n');
        }
        let _ = tell(&mut told, one);
    }
    told
}

fn tell(to: &mut String, one: &Inspected) -> std::fmt::Result {
    let of = one.component.as_ref().map(|id| format!("component `{id}`, "));
    write!(to, "{}`{}`", of.unwrap_or_default(), one.file)?;
    match &one.inspection {
        Err(NotRead { error, advice, .. }) => {
            writeln!(to)?;
            tell_refusal(to, error, advice.as_deref())
        }
        Ok(inspection) => match &inspection.description {
            Ok(description) => {
                writeln!(to, ": {} ({})", kind_of(description), size(inspection.size))?;
                tell_producers(to, &description.producers)?;
                tell_interfaces(to, one, description)
            }
            Err((error, producers)) => {
                writeln!(to, " ({})", size(inspection.size))?;
                tell_producers(to, producers)?;
                tell_refusal(to, &reason_of(error), error.advice())
            }
        },
    }
}

/// The name of what a file is.
fn kind_of(description: &Description) -> &'static str {
    match description.kind {
        Kind::Component => "a component",
        Kind::OlderComponent => "a component for an earlier version of WASI, which is mapped to a later one",
        Kind::Module(ModuleKind::Command) => {
            "a module for WASI preview 1 with `_start`, of which a command is made by the standard adapter"
        }
        Kind::Module(ModuleKind::FirstAbi) => {
            "a module of Spin's first ABI, of which a component is made under today's names"
        }
        Kind::Module(ModuleKind::World) => {
            "a module with a world of its own, of which a component is made as by `wasm-tools component new`"
        }
        Kind::Module(_) => "a module for WASI preview 1 without `_start`, of which a component is made",
        _ => "WebAssembly",
    }
}

/// The reason without the file, which is named before.
fn reason_of(error: &ComponentError) -> String {
    match error {
        ComponentError::Unusable { reason, .. } => reason.to_string(),
        error => error.to_string(),
    }
}

fn tell_refusal(to: &mut String, error: &str, advice: Option<&str>) -> std::fmt::Result {
    writeln!(to, "  cannot run: {}", text::message(error))?;
    match advice {
        Some(advice) => writeln!(to, "  help: {advice}"),
        None => Ok(()),
    }
}

fn tell_producers(to: &mut String, producers: &[Producer]) -> std::fmt::Result {
    let named = |is_language: bool| -> Vec<String> {
        let of = producers
            .iter()
            .filter(|producer| (producer.field == "language") == is_language);
        of.map(|producer| {
            text::message(format!("{} {}", producer.name, producer.version).trim_end()).to_string()
        })
        .collect()
    };
    for (how, named) in [("written in", named(true)), ("made by", named(false))] {
        if !named.is_empty() {
            writeln!(to, "  {how} {}", named.join(", "))?;
        }
    }
    Ok(())
}

fn tell_interfaces(to: &mut String, one: &Inspected, description: &Description) -> std::fmt::Result {
    let uses = uses(description);
    if uses.is_empty() && !one.composed {
        writeln!(to, "  starts for nothing: it exports nothing that Outport calls")?;
    }
    for a_use in uses {
        writeln!(to, "  {a_use}")?;
    }
    for (module, count) in &description.module_imports {
        writeln!(to, "  imports {count} of module `{}`", text::message(module))?;
    }
    for (title, interfaces) in [
        ("imports", &description.imports),
        ("exports", &description.exports),
    ] {
        if !interfaces.is_empty() {
            writeln!(to, "  {title}")?;
        }
        for interface in interfaces {
            write!(to, "    {}", text::message(&interface.name))?;
            if let Some(mapped) = &interface.mapped {
                write!(to, "  as {}", text::message(mapped))?;
            }
            if title == "imports" {
                match one.satisfied_by(interface) {
                    Some(part) => write!(to, "  (from {})", text::message(&part))?,
                    None if is_there(interface) => {}
                    None => write!(to, "  (not provided: ends the guest when it is called)")?,
                }
            }
            writeln!(to)?;
        }
    }
    Ok(())
}

/// `80 KiB`
fn size(bytes: usize) -> String {
    match bytes {
        bytes if bytes < 10 << 10 => format!("{bytes} bytes"),
        bytes if bytes < 10 << 20 => format!("{} KiB", bytes >> 10),
        bytes => format!("{} MiB", bytes >> 20),
    }
}
