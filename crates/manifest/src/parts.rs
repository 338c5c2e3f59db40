//! The parts that components are composed of beside their own code: dependencies, and the middleware of triggers.

use crate::manifest::Manifest;
use crate::reading::component::Component;
use crate::reading::dependency::{Implementation, Inheritance};
use crate::reading::entries::OutboundEntry;
use crate::source::{Located, Span};
use crate::values::dependency_name::DependencyName;
use crate::values::identifier::ComponentId;

/// A part of a component.
#[derive(Debug, Clone)]
pub struct Part<'m> {
    /// The component that it is a part of.
    pub component: &'m ComponentId,
    /// The part: a dependency by its name, middleware by a number.
    pub name: String,
    /// The source of its code.
    pub implementation: &'m Located<Implementation>,
    /// The import of the component that it satisfies; none of middleware.
    pub dependency: Option<&'m DependencyName>,
    /// What it has of what the component has.
    pub inherits: Inheritance,
    /// Of the hosts that it inherits, only these; all of them, if there is no such list.
    pub allowed_outbound_hosts: Option<&'m [OutboundEntry]>,
    /// The place where it stands.
    pub span: &'m Span,
}

impl Manifest {
    /// All parts of all components, in the order of the components.
    pub fn parts(&self) -> Vec<Part<'_>> {
        let components = self.components.iter();
        components
            .flat_map(|component| self.parts_of(component))
            .collect()
    }

    fn parts_of<'m>(&'m self, component: &'m Component) -> impl Iterator<Item = Part<'m>> {
        let id = &component.id.value;
        let dependencies = component.dependencies.list.iter().map(move |dependency| Part {
            component: id,
            name: dependency.name.value.to_string(),
            implementation: &dependency.implementation,
            dependency: Some(&dependency.name.value),
            inherits: component.dependencies.inheritance(dependency),
            allowed_outbound_hosts: dependency.allowed_outbound_hosts.as_deref(),
            span: &dependency.name.span,
        });
        let middleware = self.middleware_of(id).into_iter();
        dependencies.chain(middleware.map(move |(name, one)| Part {
            component: id,
            name,
            implementation: &one.implementation,
            dependency: None,
            inherits: one.inheritance(),
            allowed_outbound_hosts: one.allowed_outbound_hosts.as_deref(),
            span: &one.span,
        }))
    }
}
