//! The `spin.toml` that says what the JSON says, and the files that it names.

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine as _;
use outport_policy::text;
use serde_json::{Map, Value as Json};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

use super::super::manifest::strict_digest;
use super::super::tree::{Tree, TreeError, TreePath, digest_of};
use super::{
    BASE64, Find, LockedApp, LockedAppError, LockedComponent, LockedContent, LockedDependency,
    LockedInheritance, LockedTrigger, LockedVariable,
};

pub(super) struct Writer<'w> {
    pub(super) find: Find<'w>,
    pub(super) tree: &'w mut Tree,
    /// The files of components that are written, by their digests.
    pub(super) components: BTreeMap<String, String>,
}

impl Writer<'_> {
    pub(super) fn manifest(&mut self, app: &LockedApp) -> Result<DocumentMut, LockedAppError> {
        let mut document = DocumentMut::new();
        document["spin_manifest_version"] = Item::Value(2.into());
        document["application"] = Item::Table(application(&app.metadata));
        if !app.variables.is_empty() {
            document["variables"] = Item::Table(variables(&app.variables));
        }
        let mut triggers = Table::new();
        triggers.set_implicit(true);
        for trigger in &app.triggers {
            let list = triggers
                .entry(&trigger.trigger_type)
                .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
            let written = self.trigger(trigger, app)?;
            if let Some(list) = list.as_array_of_tables_mut() {
                list.push(written);
            }
        }
        document["trigger"] = Item::Table(triggers);
        let mut components = Table::new();
        components.set_implicit(true);
        for (number, component) in app.components.iter().enumerate() {
            let written = self.component(number, component)?;
            components.insert(&component.id, Item::Table(written));
        }
        document["component"] = Item::Table(components);
        Ok(document)
    }

    fn trigger(&mut self, trigger: &LockedTrigger, app: &LockedApp) -> Result<Table, LockedAppError> {
        let mut table = Table::new();
        if let Some(config) = trigger.trigger_config.as_object() {
            for (key, value) in config {
                insert(&mut table, key, value);
            }
        }
        if !trigger.id.is_empty() {
            table.insert("id", Item::Value(trigger.id.as_str().into()));
        }
        // Spin has kept middleware with the trigger and with its component.
        let component = trigger.trigger_config.get("component").and_then(Json::as_str);
        let of_component = app
            .components
            .iter()
            .find(|own| Some(own.id.as_str()) == component)
            .map(|own| &own.trigger_dependencies);
        let own = Some(&trigger.trigger_dependencies).filter(|own| !own.is_empty());
        let mut dependencies = InlineTable::new();
        for (role, listed) in own.or(of_component).into_iter().flatten() {
            let listed: Vec<LockedDependency> = serde_json::from_value(listed.clone())?;
            let mut array = Array::new();
            for dependency in &listed {
                array.push(Value::InlineTable(self.dependency(role, dependency)?));
            }
            dependencies.insert(role, Value::Array(array));
        }
        if !dependencies.is_empty() {
            table.insert("dependencies", Item::Value(Value::InlineTable(dependencies)));
        }
        Ok(table)
    }

    fn component(&mut self, number: usize, component: &LockedComponent) -> Result<Table, LockedAppError> {
        let what = format!("the code of component `{}`", text::quote(&component.id));
        let mut table = Table::new();
        let source = self.code(&component.source.content, &what)?;
        table.insert("source", Item::Value(source.into()));
        for (key, written) in METADATA {
            match component.metadata.get(key) {
                Some(Json::Array(list)) if list.is_empty() => {}
                Some(value) => insert(&mut table, written, value),
                None => {}
            }
        }
        for (key, map) in [("environment", &component.env), ("variables", &component.config)] {
            if !map.is_empty() {
                let pairs = map.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                table.insert(key, Item::Value(Value::InlineTable(pairs.collect())));
            }
        }
        if !component.files.is_empty() {
            let directory = format!("files/{number}");
            for file in &component.files {
                let path = TreePath::parse(file.path.strip_prefix('/').unwrap_or(&file.path))?;
                let path = TreePath::parse(&format!("{directory}/{}", path.as_str()))?;
                let what = format!("the file `{}`", text::quote(&file.path));
                let mut content = self.content(&file.content, &what)?;
                let digest = self.tree.add(&path, &mut content)?;
                expect(&file.content, &digest, &what)?;
            }
            let mut mount = InlineTable::new();
            mount.insert("source", directory.into());
            mount.insert("destination", "/".into());
            let mounts: Array = [Value::InlineTable(mount)].into_iter().collect();
            table.insert("files", Item::Value(Value::Array(mounts)));
        }
        if !component.dependencies.is_empty() {
            let mut dependencies = Table::new();
            for (name, dependency) in &component.dependencies {
                let written = self.dependency(name, dependency)?;
                dependencies.insert(name, Item::Value(Value::InlineTable(written)));
            }
            table.insert("dependencies", Item::Table(dependencies));
        }
        Ok(table)
    }

    fn dependency(
        &mut self,
        name: &str,
        dependency: &LockedDependency,
    ) -> Result<InlineTable, LockedAppError> {
        let what = format!("the code of the dependency `{}`", text::quote(name));
        let mut table = InlineTable::new();
        table.insert("path", self.code(&dependency.source.content, &what)?.into());
        if let Some(export) = &dependency.export {
            table.insert("export", export.as_str().into());
        }
        match &dependency.inherit {
            LockedInheritance::All => {
                table.insert("inherit_configuration", true.into());
            }
            LockedInheritance::Some(keys) if keys.is_empty() => {}
            LockedInheritance::Some(keys) => {
                let keys: Array = keys.iter().map(String::as_str).collect();
                table.insert("inherit_configuration", Value::Array(keys));
            }
        }
        Ok(table)
    }

    /// The path of code in the tree; what two components have in common is there once.
    fn code(&mut self, content: &LockedContent, what: &str) -> Result<String, LockedAppError> {
        if let Some(known) = content
            .digest
            .as_ref()
            .and_then(|digest| self.components.get(digest))
        {
            return Ok(known.clone());
        }
        let path = format!("components/{}.wasm", self.components.len());
        let tree_path = TreePath::parse(&path)?;
        let mut bytes = self.content(content, what)?;
        let digest = self.tree.add(&tree_path, &mut bytes)?;
        expect(content, &digest, what)?;
        self.components.insert(digest.to_string(), path.clone());
        Ok(path)
    }

    fn content(&self, content: &LockedContent, what: &str) -> Result<Box<dyn Read>, LockedAppError> {
        let wrong = || LockedAppError::Content {
            what: what.to_owned(),
        };
        let digest = match &content.digest {
            Some(digest) => Some(strict_digest(digest).ok_or_else(wrong)?),
            None => None,
        };
        match (&content.inline, digest) {
            (Some(inline), digest) => {
                let bytes = BASE64.decode(inline).map_err(|_| wrong())?;
                if digest.is_some_and(|digest| digest != digest_of(&bytes)) {
                    return Err(wrong());
                }
                Ok(Box::new(std::io::Cursor::new(bytes)))
            }
            (None, Some(digest)) => match (self.find)(&digest) {
                Some(found) => Ok(found.map_err(TreeError::from)?),
                None => Err(LockedAppError::Missing {
                    what: what.to_owned(),
                    digest,
                }),
            },
            (None, None) => Err(wrong()),
        }
    }
}

/// Keys of a component's metadata, and those of the manifest.
pub(crate) const METADATA: [(&str, &str); 5] = [
    ("description", "description"),
    ("allowed_outbound_hosts", "allowed_outbound_hosts"),
    ("key_value_stores", "key_value_stores"),
    ("databases", "sqlite_databases"),
    ("ai_models", "ai_models"),
];

fn application(metadata: &Map<String, Json>) -> Table {
    let mut table = Table::new();
    for key in ["name", "version", "description", "authors"] {
        if let Some(value) = metadata.get(key) {
            insert(&mut table, key, value);
        }
    }
    let mut settings = Table::new();
    settings.set_implicit(true);
    match (metadata.get("triggers"), metadata.get("trigger")) {
        (Some(Json::Object(of_all)), _) => {
            for (kind, value) in of_all {
                insert(&mut settings, kind, value);
            }
        }
        // As older versions have it: of the only type of trigger, with the type among the settings.
        (_, Some(Json::Object(of_one))) => {
            let mut of_one = of_one.clone();
            if let Some(Json::String(kind)) = of_one.remove("type") {
                insert(&mut settings, &kind, &Json::Object(of_one));
            }
        }
        _ => {}
    }
    let is_empty = |item: &Item| item.as_inline_table().is_some_and(InlineTable::is_empty);
    settings.retain(|_, item| !is_empty(item));
    if !settings.is_empty() {
        table.insert("trigger", Item::Table(settings));
    }
    table
}

fn variables(declared: &BTreeMap<String, LockedVariable>) -> Table {
    let mut table = Table::new();
    for (name, variable) in declared {
        let mut written = InlineTable::new();
        match &variable.default {
            Some(default) => written.insert("default", default.as_str().into()),
            None => written.insert("required", true.into()),
        };
        if variable.secret {
            written.insert("secret", true.into());
        }
        if let Some(description) = &variable.description {
            written.insert("description", description.as_str().into());
        }
        table.insert(name, Item::Value(Value::InlineTable(written)));
    }
    table
}

/// Inserts what TOML can say: nothing for `null`.
fn insert(table: &mut Table, key: &str, value: &Json) {
    if let Some(value) = toml(value) {
        table.insert(key, Item::Value(value));
    }
}

fn toml(value: &Json) -> Option<Value> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(bool) => (*bool).into(),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64()?.into(),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => Value::Array(items.iter().filter_map(toml).collect()),
        Json::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.filter_map(|(key, value)| Some((key.as_str(), toml(value)?)));
            Value::InlineTable(fields.collect())
        }
    })
}

/// What was written is what is described, whoever changed a file of the cache meanwhile.
fn expect(
    content: &LockedContent,
    written: &outport_manifest::Digest,
    what: &str,
) -> Result<(), LockedAppError> {
    match &content.digest {
        Some(digest) if *digest != written.to_string() => Err(LockedAppError::Content {
            what: what.to_owned(),
        }),
        _ => Ok(()),
    }
}
