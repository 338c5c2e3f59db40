//! What of an app is not beside its manifest.

use outport_manifest::{
    Component, ComponentId, Implementation, Located, Manifest, PackageRequest, Remote, Source,
};

/// Code from elsewhere that a component needs.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The component, for itself or for what is composed into it.
    pub component: ComponentId,
    /// Where the code is from, and the place in the manifest that says so.
    pub code: Located<Remote>,
}

/// The code from elsewhere that the components need which `wants` picks, in the order of the file.
pub fn wanted(manifest: &Manifest, wants: impl Fn(&ComponentId) -> bool) -> Vec<Wanted> {
    let mut found = Vec::new();
    for component in manifest
        .components
        .iter()
        .filter(|component| wants(&component.id.value))
    {
        let own = code_of(manifest, component);
        let dependencies = component.dependencies.list.iter();
        let middleware = manifest.middleware_of(&component.id.value);
        let parts = dependencies
            .map(|dependency| &dependency.implementation)
            .chain(middleware.iter().map(|(_, one)| &one.implementation));
        let parts = parts.filter_map(|implementation| match &implementation.value {
            Implementation::Remote(remote) => Some(Located::new(remote.clone(), implementation.span.clone())),
            Implementation::Component(id) => code_of(manifest, manifest.component(id)?),
            Implementation::Path(_) => None,
        });
        let component = &component.id.value;
        found.extend(own.into_iter().chain(parts).map(|code| Wanted {
            component: component.clone(),
            code,
        }));
    }
    found
}

/// The packages that any component of an app asks for.
pub fn requested_packages(manifest: &Manifest) -> Vec<PackageRequest> {
    let mut packages: Vec<PackageRequest> = Vec::new();
    for Wanted { code, .. } in wanted(manifest, |_| true) {
        match code.value {
            Remote::Package(package) if !packages.contains(&package) => packages.push(package),
            _ => {}
        }
    }
    packages
}

fn code_of(manifest: &Manifest, component: &Component) -> Option<Located<Remote>> {
    let source = &manifest.code_of(component)?.source;
    match &source.value {
        Source::Remote(remote) => Some(Located::new(remote.clone(), source.span.clone())),
        _ => None,
    }
}
