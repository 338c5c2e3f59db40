//! What was found, for programs: `docs/schema/inspect.json`.

use outport_runtime::component::ComponentError;
use outport_runtime::inspection::{Interface, Kind, ModuleKind, Producer};
use serde::Serialize;

use super::inspected::{Inspected, NotRead, is_there, uses};
use crate::failure::Failure;

#[derive(Serialize)]
struct JsonFile<'i> {
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'i str>,
    file: &'i str,
    runs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError>,
    producers: Vec<JsonProducer<'i>>,
    uses: Vec<&'static str>,
    module_imports: Vec<JsonModule<'i>>,
    imports: Vec<JsonInterface<'i>>,
    exports: Vec<JsonInterface<'i>>,
}

#[derive(Serialize)]
struct JsonError {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

#[derive(Serialize)]
struct JsonProducer<'i> {
    field: &'i str,
    name: &'i str,
    version: &'i str,
}

#[derive(Serialize)]
struct JsonModule<'i> {
    module: &'i str,
    count: usize,
}

#[derive(Serialize)]
struct JsonInterface<'i> {
    name: &'i str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mapped: Option<&'i str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provided: Option<bool>,
}

pub(super) fn json(inspected: &[Inspected]) -> Result<String, Failure> {
    let files: Vec<_> = inspected.iter().map(json_of).collect();
    let mut told = serde_json::to_string_pretty(&serde_json::json!({ "version": 1, "files": files }))
        .map_err(anyhow::Error::from)?;
    told.push('\n');
    Ok(told)
}

fn json_of(one: &Inspected) -> JsonFile<'_> {
    let mut file = JsonFile {
        component: one.component.as_deref(),
        file: &one.file,
        runs: one.runs(),
        size: None,
        kind: None,
        error: None,
        producers: Vec::new(),
        uses: Vec::new(),
        module_imports: Vec::new(),
        imports: Vec::new(),
        exports: Vec::new(),
    };
    let inspection = match &one.inspection {
        Ok(inspection) => inspection,
        Err(NotRead { error, advice, .. }) => {
            let (message, help) = (error.clone(), advice.clone());
            file.error = Some(JsonError { message, help });
            return file;
        }
    };
    file.size = Some(inspection.size);
    match &inspection.description {
        Err((error, producers)) => {
            file.error = Some(error_of(error));
            file.producers = producers.iter().map(producer).collect();
        }
        Ok(description) => {
            file.kind = Some(match description.kind {
                Kind::Component => "component",
                Kind::OlderComponent => "older-component",
                Kind::Module(ModuleKind::Command) => "command-module",
                Kind::Module(ModuleKind::FirstAbi) => "first-abi-module",
                Kind::Module(ModuleKind::World) => "world-module",
                _ => "reactor-module",
            });
            file.producers = description.producers.iter().map(producer).collect();
            file.uses = uses(description);
            let modules = description.module_imports.iter();
            file.module_imports = modules
                .map(|(module, count)| JsonModule {
                    module,
                    count: *count,
                })
                .collect();
            let interface = |interface, provided| interface_of(interface, provided);
            let imports = description.imports.iter();
            file.imports = imports
                .map(|import| {
                    let is_provided = one.satisfied_by(import).is_some() || is_there(import);
                    interface(import, Some(is_provided))
                })
                .collect();
            file.exports = description
                .exports
                .iter()
                .map(|export| interface(export, None))
                .collect();
        }
    }
    file
}

fn error_of(error: &ComponentError) -> JsonError {
    JsonError {
        message: error.to_string(),
        help: error.advice().map(str::to_owned),
    }
}

fn producer(producer: &Producer) -> JsonProducer<'_> {
    JsonProducer {
        field: &producer.field,
        name: &producer.name,
        version: &producer.version,
    }
}

fn interface_of(interface: &Interface, provided: Option<bool>) -> JsonInterface<'_> {
    JsonInterface {
        name: &interface.name,
        mapped: interface.mapped.as_deref(),
        provided,
    }
}
