//! What parts of a manifest say of each other: triggers, sources, dependencies, middleware and entries name components, and
//! routes overlap.

use std::collections::{HashMap, HashSet};

use outport_policy::{Entry, HostPattern};

use super::Manifest;
use crate::reading::component::Component;
use crate::reading::component_source::Source;
use crate::reading::dependency::Implementation;
use crate::reading::trigger::HttpTrigger;
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::report::remark::Remark;
use crate::report::spelling::{MOST_LISTED, candidates};
use crate::source::Located;
use crate::values::dependency_error::DependencyError;
use crate::values::identifier::ComponentId;
use crate::values::route::{Route, serving};
use crate::values::source_error::SourceError;

/// The components, found by their ids.
pub(super) struct ById<'m>(HashMap<&'m ComponentId, &'m Component>);

impl<'m> ById<'m> {
    pub(super) fn of(manifest: &'m Manifest) -> Self {
        let components = manifest.components.iter();
        // Of two with the same id the first counts, as with `Manifest::component`.
        let reversed = components.rev().map(|component| (&component.id.value, component));
        Self(reversed.collect())
    }

    /// The component of that id; reported if there is none.
    fn check(
        &self,
        found: &mut Findings,
        manifest: &Manifest,
        id: &Located<ComponentId>,
    ) -> Option<&'m Component> {
        let component = self.0.get(&id.value).copied();
        if component.is_none() && !found.is_in_unread_part(id.value.as_str()) {
            let (meant, known) = candidates(
                id.value.as_str(),
                manifest
                    .components
                    .iter()
                    .map(|component| component.id.value.as_str()),
            );
            let id_written = id.value.clone();
            found.report(
                &id.span,
                Mistake::ComponentReference {
                    id: id_written,
                    meant,
                    known,
                },
            );
        }
        component
    }
}

pub(super) fn check_triggered(
    found: &mut Findings,
    manifest: &Manifest,
    by_id: &ById<'_>,
    others: &[Located<ComponentId>],
) {
    for id in manifest.started().chain(others) {
        by_id.check(found, manifest, id);
    }
}

pub(super) fn check_routes(found: &mut Findings, triggers: &[HttpTrigger]) {
    let routed: Vec<_> = triggers
        .iter()
        .filter_map(|trigger| match &trigger.route.value {
            Route::Path(route) => Some((trigger, route)),
            Route::Private => None,
        })
        .collect();
    let serving = serving(routed.iter().map(|(_, route)| *route));
    for (number, (trigger, route)) in routed.iter().enumerate() {
        let answers = serving[&route.form()];
        if answers != number {
            found.remark(
                &trigger.route.span,
                Remark::ShadowedRoute {
                    route: route.to_string(),
                    by: routed[answers].0.component().map(|id| id.value.to_string()),
                },
            );
        }
    }
}

/// With mistakes in the file nobody knows what starts a component.
pub(super) fn report_never_started(
    found: &mut Findings,
    manifest: &Manifest,
    others: &[Located<ComponentId>],
) {
    let triggered = manifest.started().chain(others).map(|id| &id.value);
    let used: HashSet<&ComponentId> = triggered.chain(manifest.named_by_others()).collect();
    for component in &manifest.components {
        if !used.contains(&component.id.value) {
            let id = component.id.value.to_string();
            found.remark(&component.id.span, Remark::NeverStarted { id });
        }
    }
}

/// Names below `spin.internal` are components of the app.
pub(super) fn check_chained(found: &mut Findings, manifest: &Manifest) {
    let ids: HashSet<&str> = ids_of(manifest).collect();
    let entries = manifest
        .components
        .iter()
        .flat_map(|component| &component.allowed_outbound_hosts);
    for written in entries {
        let hosts = written.literal().map(Entry::hosts).unwrap_or_default();
        let is_of_none = |host: &HostPattern| match host {
            HostPattern::Name(name) => name
                .as_str()
                .strip_suffix(".spin.internal")
                .is_some_and(|id| !ids.contains(id) && !found.is_in_unread_part(id)),
            _ => false,
        };
        if !hosts.is_empty() && hosts.iter().all(is_of_none) {
            let known = ids_of(manifest).take(MOST_LISTED).map(str::to_owned).collect();
            let entry = written.text.value.clone();
            found.remark(&written.text.span, Remark::NoSuchComponent { entry, known });
        }
    }
}

fn ids_of(manifest: &Manifest) -> impl Iterator<Item = &str> {
    manifest
        .components
        .iter()
        .map(|component| component.id.value.as_str())
}

pub(super) fn check_sources(found: &mut Findings, manifest: &Manifest, by_id: &ById<'_>) {
    for component in &manifest.components {
        let Source::Component(id) = &component.source.value else {
            continue;
        };
        let id = Located::new(id.clone(), component.source.span.clone());
        if by_id.check(found, manifest, &id).is_some() && manifest.code_of(component).is_none() {
            let error = SourceError::Circle(component.id.value.to_string());
            found.report(&id.span, Mistake::Source(error));
        }
    }
}

pub(super) fn check_dependencies(found: &mut Findings, manifest: &Manifest, by_id: &ById<'_>) {
    let dependencies = manifest
        .components
        .iter()
        .flat_map(|component| &component.dependencies.list);
    let middleware = manifest
        .http_triggers
        .iter()
        .flat_map(|trigger| &trigger.middleware);
    let all = dependencies
        .map(|dependency| &dependency.implementation)
        .chain(middleware.map(|middleware| &middleware.implementation));
    for implementation in all {
        let Implementation::Component(id) = &implementation.value else {
            continue;
        };
        let id = Located::new(id.clone(), implementation.span.clone());
        let Some(component) = by_id.check(found, manifest, &id) else {
            continue;
        };
        let keys = component.own_resources();
        if !keys.is_empty() {
            let error = DependencyError::OwnResources { id: id.value, keys };
            found.report(&id.span, Mistake::Dependency(error));
        }
    }
}
