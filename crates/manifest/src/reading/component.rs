//! One component of an app: `[component.ID]`.

use outport_policy::{Entry, Label, LabelKind};

use crate::reading::allowed_http_hosts::read_http_hosts;
use crate::reading::component_source::{Source, read_source};
use crate::reading::dependency::{Dependencies, check_dependencies, read_dependencies};
use crate::reading::entries::{OutboundEntry, read_entries};
use crate::reading::fields::{Fields, Node};
use crate::reading::mount::{Mount, read_mounts};
use crate::reading::other_tools::{Build, read_build, read_profiles, read_targets, read_tool};
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::report::remark::Remark;
use crate::source::{Located, SourceFile, Span};
use crate::template::Template;
use crate::values::identifier::{ComponentId, check_label};
use crate::values::service::Service;
use crate::values::variable::VariableName;

/// A component and what its author asks for it.
#[derive(Debug, Clone)]
pub struct Component {
    /// Its id, at the key (for a component inside a trigger: made up, at the trigger's `component`).
    pub id: Located<ComponentId>,
    /// The source of its code.
    pub source: Located<Source>,
    /// The purpose of the component.
    pub description: Option<Located<String>>,
    /// Environment variables of the guest, in the order of the file.
    pub environment: Vec<(Located<String>, Located<String>)>,
    /// Files that the guest may read.
    pub files: Vec<Located<Mount>>,
    /// Patterns of files that it may not read although `files` matches them.
    pub exclude_files: Vec<Located<String>>,
    /// The hosts that it wants to reach, as written, templates not filled in.
    pub allowed_outbound_hosts: Vec<OutboundEntry>,
    /// The number of entries that are not even strings, and are not among these.
    pub entries_left_out: usize,
    /// Variables of the guest, in the order of the file.
    pub variables: Vec<(Located<VariableName>, Located<Template>)>,
    /// Labels of the key-value stores that it is granted.
    pub key_value_stores: Vec<Located<String>>,
    /// Labels of the databases that it is granted.
    pub sqlite_databases: Vec<Located<String>>,
    /// Names of the models that it is granted.
    pub ai_models: Vec<Located<String>>,
    /// Components that are composed into it, and what they inherit from it.
    pub dependencies: Dependencies,
    /// The way in which its file is made. Nothing that runs the app does it: `outport build` is asked for.
    pub build: Option<Build>,
    /// The place where the component stands: its header or its braces.
    pub span: Span,
}

impl Component {
    /// Entries that hold no variables, parsed; those with mistakes were reported when the manifest was read.
    pub fn literal_entries(&self) -> impl Iterator<Item = &Entry> {
        self.allowed_outbound_hosts
            .iter()
            .filter_map(OutboundEntry::literal)
    }

    /// The stores, databases and models that it lists, in the order of the file's keys. `source` is the file it is in.
    pub fn labels(&self, source: &SourceFile) -> Vec<Label> {
        let lists = [
            (LabelKind::KeyValueStore, &self.key_value_stores),
            (LabelKind::SqliteDatabase, &self.sqlite_databases),
            (LabelKind::AiModel, &self.ai_models),
        ];
        let labels = lists.into_iter().flat_map(|(kind, list)| {
            let label =
                move |label: &Located<String>| Label::new(kind, &label.value, source.location(&label.span));
            list.iter().map(label)
        });
        labels.collect()
    }

    /// Keys that a component may not have if it is composed into another one, since they would have no effect.
    pub(crate) fn own_resources(&self) -> Vec<&'static str> {
        let keys = [
            ("ai_models", self.ai_models.is_empty()),
            ("allowed_outbound_hosts", self.allowed_outbound_hosts.is_empty()),
            ("dependencies", self.dependencies.list.is_empty()),
            ("environment", self.environment.is_empty()),
            ("files", self.files.is_empty()),
            ("key_value_stores", self.key_value_stores.is_empty()),
            ("sqlite_databases", self.sqlite_databases.is_empty()),
            ("variables", self.variables.is_empty()),
        ];
        keys.into_iter()
            .filter(|(_, empty)| !empty)
            .map(|(key, _)| key)
            .collect()
    }
}

/// Reads the table of a component.
pub(crate) fn read_component(
    found: &mut Findings,
    id: Located<ComponentId>,
    mut fields: Fields<'_>,
) -> Component {
    let placeholder = Located::new(Source::Path(String::new()), fields.span().clone());
    let source = fields
        .require(found, "source")
        .and_then(|node| read_source(found, node));
    let (mut allowed_outbound_hosts, mut entries_left_out) = fields
        .get("allowed_outbound_hosts")
        .map(|node| {
            let written = node.written_items();
            let entries = read_entries(found, node);
            let left_out = written.saturating_sub(entries.len());
            (entries, left_out)
        })
        .unwrap_or_default();
    if let Some(node) = fields.get("allowed_http_hosts") {
        let (entries, left_out) = read_http_hosts(found, node);
        allowed_outbound_hosts.extend(entries);
        entries_left_out += left_out;
    }
    let component = Component {
        source: source.unwrap_or(placeholder),
        description: fields.get("description").and_then(|node| node.string(found)),
        environment: fields
            .get("environment")
            .map(|node| read_environment(found, node))
            .unwrap_or_default(),
        files: fields
            .get("files")
            .map(|node| read_mounts(found, node))
            .unwrap_or_default(),
        exclude_files: fields
            .get("exclude_files")
            .map(|node| node.strings(found))
            .unwrap_or_default(),
        allowed_outbound_hosts,
        entries_left_out,
        variables: fields
            .get("variables")
            .map(|node| read_variables(found, node))
            .unwrap_or_default(),
        key_value_stores: read_labels(found, fields.get("key_value_stores"), Service::KeyValue),
        sqlite_databases: read_labels(found, fields.get("sqlite_databases"), Service::Sqlite),
        ai_models: read_labels(found, fields.get("ai_models"), Service::Models),
        dependencies: read_dependencies(
            found,
            fields.get("dependencies"),
            fields.get("dependencies_inherit_configuration"),
        ),
        build: fields.get("build").and_then(|node| read_build(found, node)),
        span: fields.span().clone(),
        id,
    };
    check_dependencies(found, &component.dependencies);
    if let Some(node) = fields.get("tool") {
        read_tool(found, node);
    }
    if let Some(node) = fields.get("profile") {
        read_profiles(found, node);
    }
    if let Some(node) = fields.get("targets") {
        read_targets(found, node);
    }
    fields.finish(found);
    component
}

pub(crate) fn read_environment(
    found: &mut Findings,
    node: Node<'_>,
) -> Vec<(Located<String>, Located<String>)> {
    let mut environment = Vec::new();
    for (name, node) in node.named(found) {
        if name.value.is_empty() || name.value.contains(['=', '\0']) {
            let wrong = "cannot be the name of an environment variable".to_owned();
            let key = name.value.clone();
            found.report(
                &name.span,
                Mistake::Value {
                    key,
                    wrong,
                    help: None,
                },
            );
        }
        if let Some(value) = node.string(found) {
            environment.push((name, value));
        }
    }
    environment
}

fn read_variables(found: &mut Findings, node: Node<'_>) -> Vec<(Located<VariableName>, Located<Template>)> {
    let mut variables = Vec::new();
    for (name, node) in node.named(found) {
        let parsed = read_variable_name(found, &name);
        let template = node.string(found).and_then(|text| read_template(found, &text));
        if let (Some(name), Some(template)) = (parsed, template) {
            variables.push((name, template));
        }
    }
    variables
}

/// The name of a variable, at its key.
pub(crate) fn read_variable_name(
    found: &mut Findings,
    text: &Located<String>,
) -> Option<Located<VariableName>> {
    match VariableName::parse(&text.value) {
        Ok(name) => Some(Located::new(name, text.span.clone())),
        Err(error) => {
            let mistake = Mistake::VariableName {
                text: text.value.clone(),
                error,
            };
            found.report(&text.span, mistake);
            None
        }
    }
}

/// A string with `{{ … }}` in it.
pub(crate) fn read_template(found: &mut Findings, text: &Located<String>) -> Option<Located<Template>> {
    match Template::parse(&text.value) {
        Ok(template) => Some(Located::new(template, text.span.clone())),
        Err(error) => {
            let span = found.source().part_of(&text.span, &text.value, error.span());
            found.report(&span, Mistake::Template(error));
            None
        }
    }
}

/// A list of what a component is granted by name. Names of models are what their servers call them; others are labels.
fn read_labels(found: &mut Findings, node: Option<Node<'_>>, service: Service) -> Vec<Located<String>> {
    let Some(node) = node else {
        return Vec::new();
    };
    let mut labels = node.strings(found);
    labels.retain(|label| match check_label(&label.value) {
        Err(error) if service != Service::Models => {
            let (key, text) = (node.key().to_owned(), label.value.clone());
            found.report(&label.span, Mistake::Label { key, text, error });
            false
        }
        _ => true,
    });
    if !labels.is_empty() && !service.is_served() {
        note_not_used(found, node, service.lacking());
    }
    labels
}

/// Says that a key has no effect.
pub(crate) fn note_not_used(found: &mut Findings, node: Node<'_>, why: &'static str) {
    found.remark(
        &node.span(),
        Remark::NotUsed {
            key: node.key().to_owned(),
            why,
        },
    );
}
