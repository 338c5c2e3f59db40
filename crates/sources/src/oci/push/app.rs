//! The JSON of an app, made of its manifest; its code and files become layers.

use std::collections::{BTreeMap, HashMap};

use outport_manifest::{Component, ComponentId, Inheritance, InheritedKey, Manifest as SpinToml};
use serde_json::{Map, Value as Json};

use super::super::locked_app::{
    LockedApp, LockedComponent, LockedDependency, LockedInheritance, LockedTrigger, LockedVariable,
};
use super::layers::Layers;
use super::{PushError, PushedComponent};

pub(super) fn locked_app(
    manifest: &SpinToml,
    files: &HashMap<ComponentId, PushedComponent>,
    layers: &mut Layers<'_>,
) -> Result<LockedApp, PushError> {
    let written: toml::Table = manifest.source.text().parse().unwrap_or_default();
    let written = serde_json::to_value(written).unwrap_or_default();
    check_components(&written)?;
    let mut components = Vec::new();
    for component in &manifest.components {
        let own = files.get(&component.id.value).cloned().unwrap_or_default();
        components.push(locked_component(component, &own, layers)?);
    }
    let chains = components
        .iter()
        .any(|component| !component.host_requirements.is_empty());
    Ok(LockedApp {
        spin_lock_version: u32::from(chains),
        must_understand: chains
            .then(|| "component_host_requirements".to_owned())
            .into_iter()
            .collect(),
        metadata: metadata(&written),
        host_requirements: Map::new(),
        variables: variables(&written),
        triggers: triggers(manifest, &written)?,
        components,
    })
}

fn metadata(written: &Json) -> Map<String, Json> {
    let application = &written["application"];
    let mut metadata = Map::new();
    for key in ["name", "version", "description", "authors"] {
        match application.get(key) {
            Some(Json::String(text)) if text.is_empty() => {}
            Some(value) => drop(metadata.insert(key.to_owned(), value.clone())),
            None => {}
        }
    }
    let settings = application.get("trigger").and_then(Json::as_object).cloned();
    let settings = settings.unwrap_or_default();
    // Older versions of Spin look for the settings of the only type of trigger.
    let kinds = written["trigger"].as_object();
    if let Some(kind) = kinds
        .filter(|kinds| kinds.len() == 1)
        .and_then(|kinds| kinds.keys().next())
    {
        let mut of_one = settings
            .get(kind)
            .and_then(Json::as_object)
            .cloned()
            .unwrap_or_default();
        of_one.insert("type".to_owned(), kind.as_str().into());
        metadata.insert("trigger".to_owned(), Json::Object(of_one));
    }
    metadata.insert("triggers".to_owned(), Json::Object(settings));
    metadata
}

fn variables(written: &Json) -> BTreeMap<String, LockedVariable> {
    let declared = written.get("variables").and_then(Json::as_object);
    let declared = declared.into_iter().flatten().map(|(name, value)| {
        let text = |key: &str| value.get(key).and_then(Json::as_str).map(str::to_owned);
        let variable = LockedVariable {
            description: text("description"),
            default: text("default"),
            secret: value.get("secret").and_then(Json::as_bool).unwrap_or_default(),
        };
        (name.clone(), variable)
    });
    declared.collect()
}

fn triggers(manifest: &SpinToml, written: &Json) -> Result<Vec<LockedTrigger>, PushError> {
    let mut triggers = Vec::new();
    for (kind, list) in written["trigger"].as_object().into_iter().flatten() {
        for (number, trigger) in list.as_array().into_iter().flatten().enumerate() {
            let mut config = trigger.as_object().cloned().unwrap_or_default();
            if config.remove("dependencies").is_some() {
                let what = format!("the middleware of a `{kind}` trigger");
                return Err(PushError::NoPlace { what });
            }
            let own_id = config.remove("id").and_then(|id| id.as_str().map(str::to_owned));
            let (id, component) = match kind.as_str() {
                "http" => manifest.http_triggers.get(number).map(|trigger| {
                    let component = trigger.component().map(|id| id.value.to_string());
                    (trigger.id.clone(), component)
                }),
                "command" => manifest
                    .command_triggers
                    .get(number)
                    .map(|trigger| (trigger.id.clone(), Some(trigger.component.value.to_string()))),
                _ => None,
            }
            .unwrap_or_else(|| (own_id.unwrap_or_else(|| format!("{kind}-trigger{number}")), None));
            match (config.get("component"), component) {
                (Some(Json::Object(inner)), None) if !inner.contains_key("static_response") => {
                    let what = format!("a component inside a `{kind}` trigger: give it a table of its own");
                    return Err(PushError::NoPlace { what });
                }
                (Some(_), Some(component)) => drop(config.insert("component".to_owned(), component.into())),
                _ => {}
            }
            triggers.push(LockedTrigger {
                id,
                trigger_type: kind.clone(),
                trigger_config: Json::Object(config),
                trigger_dependencies: BTreeMap::new(),
            });
        }
    }
    Ok(triggers)
}

/// Keys of a dependency that Spin's layout can say, or that say where its code is from.
const SAYABLE: [&str; 9] = [
    "component",
    "digest",
    "export",
    "inherit_configuration",
    "package",
    "path",
    "registry",
    "url",
    "version",
];

/// Keys of a component that Spin's layout can say, or that are about making it.
const SAYABLE_OF_COMPONENTS: [&str; 17] = [
    "ai_models",
    "allowed_http_hosts",
    "allowed_outbound_hosts",
    "build",
    "dependencies",
    "dependencies_inherit_configuration",
    "description",
    "environment",
    "exclude_files",
    "files",
    "key_value_stores",
    "profile",
    "source",
    "sqlite_databases",
    "targets",
    "tool",
    "variables",
];

/// Looks at what is written, so that a key which is new to the manifest is not lost in silence.
fn check_components(written: &Json) -> Result<(), PushError> {
    let named = written
        .get("component")
        .and_then(Json::as_object)
        .into_iter()
        .flatten();
    let named = named.map(|(id, component)| (id.as_str(), component));
    let triggers = written
        .get("trigger")
        .and_then(Json::as_object)
        .into_iter()
        .flatten();
    let triggers = triggers.flat_map(|(_, list)| list.as_array()).flatten();
    let held = triggers.filter_map(|trigger| Some(("of a trigger", trigger.get("component")?)));
    for (id, component) in named.chain(held) {
        let Some(fields) = component
            .as_object()
            .filter(|fields| !fields.contains_key("static_response"))
        else {
            continue;
        };
        let id = outport_policy::text::quote(id);
        if let Some(key) = unsayable(component, &SAYABLE_OF_COMPONENTS) {
            let what = format!("`{key}` of component `{id}`");
            return Err(PushError::NoPlace { what });
        }
        let dependencies = fields.get("dependencies").and_then(Json::as_object);
        for (name, dependency) in dependencies.into_iter().flatten() {
            if let Some(key) = unsayable(dependency, &SAYABLE) {
                let name = outport_policy::text::quote(name);
                let what = format!("`{key}` of the dependency `{name}` of component `{id}`");
                return Err(PushError::NoPlace { what });
            }
        }
    }
    Ok(())
}

fn unsayable(table: &Json, sayable: &[&str]) -> Option<String> {
    let mut keys = table.as_object().into_iter().flat_map(Map::keys);
    let key = keys.find(|key| !sayable.contains(&key.as_str()))?;
    Some(outport_policy::text::quote(key).to_string())
}

fn locked_component(
    component: &Component,
    own: &PushedComponent,
    layers: &mut Layers<'_>,
) -> Result<LockedComponent, PushError> {
    let hosts: Vec<&str> = component
        .allowed_outbound_hosts
        .iter()
        .map(|entry| {
            entry
                .literal()
                .map_or(entry.text.value.as_str(), |entry| entry.text())
        })
        .collect();
    let chains = hosts.iter().any(|host| host.contains(".spin.internal"));
    let labels = |list: &[outport_manifest::Located<String>]| -> Json {
        list.iter()
            .map(|label| label.value.as_str())
            .collect::<Vec<_>>()
            .into()
    };
    let lists = [
        ("allowed_outbound_hosts", hosts.clone().into()),
        ("key_value_stores", labels(&component.key_value_stores)),
        ("databases", labels(&component.sqlite_databases)),
        ("ai_models", labels(&component.ai_models)),
    ];
    let mut metadata: Map<String, Json> = lists
        .into_iter()
        .filter(|(_, list)| list.as_array().is_some_and(|list| !list.is_empty()))
        .map(|(key, list)| (key.to_owned(), list))
        .collect();
    if let Some(description) = component
        .description
        .as_ref()
        .filter(|text| !text.value.is_empty())
    {
        metadata.insert("description".to_owned(), description.value.as_str().into());
    }
    let source = layers.add_code(&own.code)?;
    let mut dependencies = BTreeMap::new();
    for (dependency, code) in component.dependencies.list.iter().zip(&own.dependencies) {
        let inherit = match component.dependencies.inheritance(dependency) {
            Inheritance::Everything => LockedInheritance::All,
            Inheritance::Nothing => LockedInheritance::Some(Vec::new()),
            inherited @ Inheritance::Keys(_) => {
                let keys = InheritedKey::ALL
                    .iter()
                    .filter(|(_, key)| inherited.includes(*key));
                LockedInheritance::Some(keys.map(|(name, _)| (*name).to_owned()).collect())
            }
        };
        let locked = LockedDependency {
            source: layers.add_code(code)?,
            export: dependency.export.as_ref().map(|export| export.value.clone()),
            inherit,
        };
        dependencies.insert(dependency.name.value.to_string(), locked);
    }
    let files = match &own.files {
        Some(root) => layers.add_files(root)?,
        None => Vec::new(),
    };
    let environment = component.environment.iter();
    let config = component.variables.iter();
    let requirement = ("local_service_chaining".to_owned(), Json::from("required"));
    Ok(LockedComponent {
        id: component.id.value.to_string(),
        metadata,
        source,
        env: environment
            .map(|(name, value)| (name.value.clone(), value.value.clone()))
            .collect(),
        files,
        config: config
            .map(|(name, value)| (name.value.to_string(), value.value.as_str().to_owned()))
            .collect(),
        dependencies,
        trigger_dependencies: BTreeMap::new(),
        host_requirements: chains.then_some(requirement).into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use outport_manifest::SourceFile;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_layout_cannot_say_is_refused() {
        let component = |more: &Json| {
            let mut component = json!({ "source": "a.wasm", "build": { "command": "make" } });
            for (key, value) in more.as_object().unwrap() {
                component[key] = value.clone();
            }
            component
        };
        let rows = [
            (json!({}), true),
            (json!({ "dependencies": { "a:b/c": ">=1.0" } }), true),
            (
                json!({ "dependencies": { "a:b/c": { "path": "x", "inherit_configuration": true, "export": "e" } } }),
                true,
            ),
            (
                json!({ "dependencies": { "a:b/c": { "path": "x", "allowed_outbound_hosts": [] } } }),
                false,
            ),
            (
                json!({ "dependencies": { "a:b/c": { "path": "x", "environment": {} } } }),
                false,
            ),
            (json!({ "something_new": 1 }), false),
        ];
        for (more, expected) in rows {
            let component = component(&more);
            let named = json!({ "component": { "it": component }, "trigger": {} });
            let held = json!({ "trigger": { "http": [{ "route": "/", "component": component }] } });
            for written in [named, held] {
                assert_eq!(check_components(&written).is_ok(), expected, "{written}");
            }
        }
    }

    #[test]
    fn a_trigger_is_said_with_its_component_and_without_middleware_or_not_at_all() {
        let text = "spin_manifest_version = 2\napplication.name = 'a'\n\
            [[trigger.http]]\nroute = '/'\ncomponent = { source = 'a.wasm' }\n\
            [[trigger.http]]\nroute = '/s'\nstatic_response = { body = 'x' }\n\
            [[trigger.redis]]\nchannel = 'c'\ncomponent = 'b'\nid = 'mine'\n\
            [component.b]\nsource = 'b.wasm'\n";
        let manifest = SpinToml::parse(&SourceFile::new("spin.toml", text));
        let manifest = manifest.tentative();
        let written: toml::Table = text.parse().unwrap();
        let written = serde_json::to_value(written).unwrap();
        let said = triggers(manifest, &written).unwrap();
        let said: Vec<_> = said
            .iter()
            .map(|trigger| (trigger.id.as_str(), trigger.trigger_config["component"].as_str()))
            .collect();
        let held = manifest.http_triggers[0].component().unwrap().value.to_string();
        assert_eq!(said[0].1, Some(held.as_str()), "{said:?}");
        assert_eq!(said[1].1, None, "{said:?}");
        assert_eq!(said[2], ("mine", Some("b")), "{said:?}");

        for (kind, key, value) in [
            ("http", "dependencies", json!({ "middleware": [] })),
            ("redis", "component", json!({ "source": "c.wasm" })),
        ] {
            let mut written = written.clone();
            written["trigger"][kind][0][key] = value;
            let refused = triggers(manifest, &written);
            assert!(matches!(refused, Err(PushError::NoPlace { .. })), "{kind} {key}");
        }
    }
}
