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

/// The code from elsewhere that the components need which `wants` picks: their own, that of their dependencies, and that of
/// the middleware before them.
pub fn wanted(manifest: &Manifest, wants: impl Fn(&ComponentId) -> bool) -> Vec<Wanted> {
    let mut found = Vec::new();
    for component in manifest
        .components
        .iter()
        .filter(|component| wants(&component.id.value))
    {
        let id = &component.id.value;
        let dependencies = component
            .dependencies
            .list
            .iter()
            .map(|dependency| &dependency.implementation);
        let middleware = manifest
            .middleware_of(id)
            .into_iter()
            .map(|(_, one)| &one.implementation);
        let parts = dependencies
            .chain(middleware)
            .filter_map(|part| code_of_part(manifest, part));
        found.extend(
            code_of(manifest, component)
                .into_iter()
                .chain(parts)
                .map(|code| Wanted {
                    component: id.clone(),
                    code,
                }),
        );
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

fn code_of_part(manifest: &Manifest, part: &Located<Implementation>) -> Option<Located<Remote>> {
    match &part.value {
        Implementation::Remote(remote) => Some(Located::new(remote.clone(), part.span.clone())),
        Implementation::Component(id) => code_of(manifest, manifest.component(id)?),
        Implementation::Path(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use outport_manifest::SourceFile;

    use super::*;

    #[test]
    fn all_that_is_elsewhere_is_wanted_with_its_place() {
        let digest = "ab".repeat(32);
        let url = |name: &str| format!("{{ url = \"https://e.test/{name}\", digest = \"sha256:{digest}\" }}");
        let text = format!(
            "spin_manifest_version = 2\napplication.name = \"x\"\n\
             [[trigger.http]]\nroute = \"/a\"\ncomponent = \"a\"\n\
             dependencies.middleware = [{}, {{ path = \"m.wasm\" }}]\n\
             [[trigger.http]]\nroute = \"/b\"\ncomponent = \"b\"\n\
             [component.a]\nsource = {}\n\
             [component.a.dependencies]\n\"x:y/z\" = \"^1.0\"\n\"x:y/w\" = {{ component = \"c\" }}\n\
             [component.b]\nsource = {{ component = \"a\" }}\n\
             [component.c]\nsource = {}\n",
            url("m"),
            url("a"),
            url("c"),
        );
        let (manifest, _) = Manifest::parse(&SourceFile::new("spin.toml", text.as_str()))
            .complete()
            .unwrap();
        let of = |id: &str| -> Vec<String> {
            let all = wanted(&manifest, |own| own.as_str() == id);
            assert!(all.iter().all(|one| one.component.as_str() == id));
            all.iter()
                .map(|one| {
                    let place = &text[one.code.span.clone()];
                    assert!(place.contains("e.test") || place.contains("^1.0"), "{place}");
                    one.code.value.to_string()
                })
                .collect()
        };
        assert_eq!(
            of("a"),
            [
                "https://e.test/a",
                "x:y ^1.0",
                "https://e.test/c",
                "https://e.test/m"
            ]
        );
        assert_eq!(of("b"), ["https://e.test/a"]);
        assert_eq!(requested_packages(&manifest).len(), 1);
    }
}
