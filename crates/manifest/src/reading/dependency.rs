//! Components that are composed into a component: `[component.ID.dependencies]`.
//!
//! | written | implementation |
//! | --- | --- |
//! | `"my:dep/api" = { path = "dep.wasm" }` | a file, relative to the manifest |
//! | `"my:dep/api" = { component = "dep" }` | a component of the app |
//! | `"my:dep/api" = { url = "https://…", digest = "sha256:…" }` | a file on a web server, with this hash |
//! | `"my:dep/api" = ">= 1.0"` | the package `my:dep` of the registry that is set for it |
//! | `"dep-api" = { version = "1.0", package = "my:dep", registry = "…" }` | the same, said in full |
//!
//! What a dependency inherits from the component it is composed into is said once for all
//! (`dependencies_inherit_configuration`) or for each (`inherit_configuration`), as with Spin. Without either it
//! inherits nothing: all it may do is compute. Of the hosts that it inherits it gets only those that its own
//! `allowed_outbound_hosts` has too, if there is one.

use outport_policy::text;

use crate::reading::component_source::{Remote, read_digest, read_path, read_url};
use crate::reading::entries::{OutboundEntry, read_entries};
use crate::reading::fields::{Fields, Node};
use crate::reading::package_request::{PackageRequest, read_package_name, read_range, read_registry};
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::report::remark::Remark;
use crate::report::spelling::nearest;
use crate::source::Located;
use crate::values::dependency_error::DependencyError;
use crate::values::dependency_name::DependencyName;
use crate::values::identifier::ComponentId;

/// The dependencies of one component.
#[derive(Debug, Clone, Default)]
pub struct Dependencies {
    /// The dependencies, in the order of the file.
    pub list: Vec<Dependency>,
    /// `dependencies_inherit_configuration`, if it is written.
    pub inherit_all: Option<Located<bool>>,
    /// True if there are mistakes in them, so that there may be more than `list` has.
    pub unread: bool,
}

/// One dependency.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// The import that it satisfies.
    pub name: Located<DependencyName>,
    /// The source of its code.
    pub implementation: Located<Implementation>,
    /// The export to take, if not the one that is named as the import.
    pub export: Option<Located<String>>,
    /// `inherit_configuration`, if it is written.
    pub inherit: Option<Located<Inheritance>>,
    /// `allowed_outbound_hosts`, if it is written: of the hosts that it inherits, only these.
    pub allowed_outbound_hosts: Option<Vec<OutboundEntry>>,
}

/// The source of a dependency's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Implementation {
    /// A file, relative to the manifest.
    Path(String),
    /// A component of the app, of which only the code counts.
    Component(ComponentId),
    /// Somewhere else.
    Remote(Remote),
}

/// The part that a dependency inherits of the configuration of the component that it is composed into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Inheritance {
    /// Nothing: no network, no files, no variables.
    #[default]
    Nothing,
    /// Everything.
    Everything,
    /// These keys of the component.
    Keys(Vec<InheritedKey>),
}

/// A key of a component that a dependency can inherit by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InheritedKey {
    /// `ai_models`
    AiModels,
    /// `allowed_outbound_hosts`
    AllowedOutboundHosts,
    /// `environment`
    Environment,
    /// `files`
    Files,
    /// `key_value_stores`
    KeyValueStores,
    /// `sqlite_databases`
    SqliteDatabases,
    /// `variables`
    Variables,
}

impl Dependencies {
    /// The part that `dependency` inherits.
    pub fn inheritance(&self, dependency: &Dependency) -> Inheritance {
        match (&dependency.inherit, &self.inherit_all) {
            (Some(own), _) => own.value.clone(),
            (None, Some(Located { value: true, .. })) => Inheritance::Everything,
            _ => Inheritance::Nothing,
        }
    }
}

impl Inheritance {
    /// True if `key` is inherited.
    pub fn includes(&self, key: InheritedKey) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Keys(keys) => keys.contains(&key),
        }
    }
}

impl InheritedKey {
    /// All of them, with the key of the manifest.
    pub const ALL: [(&'static str, Self); 7] = [
        ("ai_models", Self::AiModels),
        ("allowed_outbound_hosts", Self::AllowedOutboundHosts),
        ("environment", Self::Environment),
        ("files", Self::Files),
        ("key_value_stores", Self::KeyValueStores),
        ("sqlite_databases", Self::SqliteDatabases),
        ("variables", Self::Variables),
    ];
}

/// Reads `dependencies` and `dependencies_inherit_configuration`.
pub(crate) fn read_dependencies(
    found: &mut Findings,
    dependencies: Option<Node<'_>>,
    inherit_all: Option<Node<'_>>,
) -> Dependencies {
    let mistakes_before = found.mistakes();
    let inherit_all = inherit_all.and_then(|node| node.boolean(found));
    let named = dependencies.map(|node| node.named(found)).unwrap_or_default();
    let list = named
        .into_iter()
        .filter_map(|(name, node)| read_dependency(found, &name, node))
        .collect();
    Dependencies {
        list,
        inherit_all,
        unread: found.mistakes() > mistakes_before,
    }
}

/// Checks what concerns several dependencies of one component.
pub(crate) fn check_dependencies(found: &mut Findings, dependencies: &Dependencies) {
    let list = &dependencies.list;
    for (index, dependency) in list.iter().enumerate() {
        let name = &dependency.name;
        if let Some(other) = list[..index]
            .iter()
            .find(|other| other.name.value.conflicts_with(&name.value))
        {
            let other = other.name.value.to_string();
            let error = DependencyError::Conflict {
                name: name.value.to_string(),
                other,
            };
            found.report(&name.span, Mistake::Dependency(error));
        }
        if let (Some(inherit), Some(_)) = (&dependency.inherit, &dependencies.inherit_all) {
            found.report(
                &inherit.span,
                Mistake::Dependency(DependencyError::InheritanceTwice),
            );
        }
    }
}

fn read_dependency(found: &mut Findings, text: &Located<String>, node: Node<'_>) -> Option<Dependency> {
    let name = DependencyName::parse(&text.value);
    if let Err(error) = &name {
        found.report(&text.span, Mistake::Dependency(error.clone()));
    }
    let own_package = match &name {
        Ok(DependencyName::Package { package, .. }) => Some(package.as_str()),
        _ => None,
    };
    if node.is_string() {
        let package = own_package.map(str::to_owned).or_else(|| {
            if name.is_ok() {
                found.report(&node.span(), Mistake::Dependency(DependencyError::NoPackage));
            }
            None
        });
        let versions = read_range(found, node);
        let request = PackageRequest {
            name: package?,
            registry: None,
            versions: versions?,
        };
        return Some(Dependency {
            implementation: Located::new(Implementation::Remote(Remote::Package(request)), node.span()),
            name: Located::new(name.ok()?, text.span.clone()),
            export: None,
            inherit: None,
            allowed_outbound_hosts: None,
        });
    }
    let mut fields = node.table(found, format!("the dependency `{}`", text.value))?;
    let export = fields.get("export").and_then(|node| node.filled_string(found));
    let part = read_part(found, &mut fields, own_package);
    fields.finish(found);
    let name = Located::new(name.ok()?, text.span.clone());
    if let (DependencyName::Package { interface: None, .. }, Some(export)) = (&name.value, &export) {
        let error = DependencyError::ExportOfPackage {
            name: text.value.clone(),
        };
        found.report(&export.span, Mistake::Dependency(error));
    }
    Some(Dependency {
        name,
        implementation: part.implementation?,
        export,
        inherit: part.inherit,
        allowed_outbound_hosts: part.allowed_outbound_hosts,
    })
}

/// What is said of whatever is composed into a component, in whichever way.
pub(crate) struct Part {
    pub(crate) implementation: Option<Located<Implementation>>,
    pub(crate) inherit: Option<Located<Inheritance>>,
    pub(crate) allowed_outbound_hosts: Option<Vec<OutboundEntry>>,
}

/// Reads it. A package is named `own_package` where nothing else is written.
pub(crate) fn read_part(found: &mut Findings, fields: &mut Fields<'_>, own_package: Option<&str>) -> Part {
    let implementation = read_implementation(found, fields, own_package);
    let inherit = fields
        .get("inherit_configuration")
        .and_then(|node| read_inheritance(found, node));
    let allowed_outbound_hosts = fields
        .get("allowed_outbound_hosts")
        .map(|node| read_entries(found, node));
    if let Some(node) = fields.get("environment") {
        node.named(found);
        let (key, why) = (
            node.key().to_owned(),
            "a dependency has no environment of its own",
        );
        found.remark(&node.span(), Remark::Missed { key, why });
    }
    Part {
        implementation,
        inherit,
        allowed_outbound_hosts,
    }
}

/// Reads what says where the code is from. A package is named `own_package` where nothing else is written.
fn read_implementation(
    found: &mut Findings,
    fields: &mut Fields<'_>,
    own_package: Option<&str>,
) -> Option<Located<Implementation>> {
    let [path, component, url] = ["path", "component", "url"].map(|key| fields.get(key));
    let digest = fields.get("digest");
    let is_package = ["version", "registry", "package"]
        .map(|key| fields.get(key).is_some())
        .contains(&true);
    match (path, component, url, is_package) {
        (Some(node), None, None, false) => read_path(found, node).map(|path| path.map(Implementation::Path)),
        (None, Some(node), None, false) => {
            read_component_id(found, node).map(|id| id.map(Implementation::Component))
        }
        (None, None, Some(node), false) => {
            let url = read_url(found, node);
            let digest = match digest {
                Some(node) => node.string(found).and_then(|text| read_digest(found, &text)),
                None => fields.require(found, "digest").and(None),
            };
            let Located { value: url, span } = url?;
            let remote = Remote::Url { url, digest: digest? };
            Some(Located::new(Implementation::Remote(remote), span))
        }
        (None, None, None, true) => {
            let request = read_request(found, fields, own_package)?;
            let implementation = Implementation::Remote(Remote::Package(request));
            Some(Located::new(implementation, fields.span().clone()))
        }
        _ => {
            found.report(&fields.span().clone(), Mistake::Dependency(DependencyError::Kind));
            None
        }
    }
}

/// Reads `version`, `package` and `registry`, where the version is a range.
fn read_request(
    found: &mut Findings,
    fields: &mut Fields<'_>,
    own_package: Option<&str>,
) -> Option<PackageRequest> {
    let name = match (fields.get("package"), own_package) {
        (Some(node), _) => read_package_name(found, node).map(|name| name.value),
        (None, Some(own)) => Some(own.to_owned()),
        (None, None) => {
            found.report(
                &fields.span().clone(),
                Mistake::Dependency(DependencyError::NoPackage),
            );
            None
        }
    };
    let registry = read_registry(found, fields);
    let versions = fields
        .require(found, "version")
        .and_then(|node| read_range(found, node));
    Some(PackageRequest {
        name: name?,
        registry: registry.ok()?,
        versions: versions?,
    })
}

/// A string that names a component of the app.
pub(crate) fn read_component_id(found: &mut Findings, node: Node<'_>) -> Option<Located<ComponentId>> {
    let text = node.string(found)?;
    component_id(found, text)
}

pub(crate) fn component_id(found: &mut Findings, text: Located<String>) -> Option<Located<ComponentId>> {
    match ComponentId::parse(&text.value) {
        Ok(id) => Some(Located::new(id, text.span)),
        Err(error) => {
            found.report(
                &text.span,
                Mistake::ComponentId {
                    text: text.value,
                    error,
                },
            );
            None
        }
    }
}

fn read_inheritance(found: &mut Findings, node: Node<'_>) -> Option<Located<Inheritance>> {
    if node.is_bool() {
        return node.boolean(found).map(|all| {
            all.map(|all| {
                if all {
                    Inheritance::Everything
                } else {
                    Inheritance::Nothing
                }
            })
        });
    }
    if node.is_string() {
        let text = node.string(found)?;
        return match text.value.as_str() {
            "all" => Some(text.map(|_| Inheritance::Everything)),
            "none" => Some(text.map(|_| Inheritance::Nothing)),
            _ => report_inherited(found, &text, ["all", "none"].as_slice()),
        };
    }
    if !node.is_array() {
        return node.wrong_type(found, "`true`, `false` or an array of keys");
    }
    let keys = node.strings(found).into_iter().filter_map(|text| {
        let key = InheritedKey::ALL
            .iter()
            .find(|(name, _)| *name == text.value)
            .map(|(_, key)| *key);
        key.or_else(|| report_inherited(found, &text, &InheritedKey::ALL.map(|(name, _)| name)))
    });
    Some(Located::new(Inheritance::Keys(keys.collect()), node.span()))
}

fn report_inherited<T>(found: &mut Findings, text: &Located<String>, known: &[&str]) -> Option<T> {
    let help = match nearest(&text.value, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("write some of `{}`", known.join("`, `")),
    };
    let wrong = format!("has no `{}`", text::quote(&text.value));
    let key = "inherit_configuration".to_owned();
    found.report(
        &text.span,
        Mistake::Value {
            key,
            wrong,
            help: Some(help),
        },
    );
    None
}
