//! The tests of the policy that an app begins with: what each of its entries permits, and that another destination is
//! what the list makes of it.
//!
//! What is expected is what the policy says of it now, asked by the same function that `check` asks: so the tests of a new
//! app hold, whatever entries it was given, and fail when somebody changes these.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use outport_check::{DeniedNames, PolicyTests, policies};
use outport_manifest::{GivenVariables, Manifest, ResolvedApp, SourceFile};
use outport_policy::{Operator, Policy};
use toml_edit::Value;

use crate::templates::Values;

/// The tests of the component in a manifest that was rendered. None, if there is a mistake in it.
pub(super) fn of(manifest: &SourceFile, values: &Values) -> String {
    let app = ResolvedApp::resolve(Manifest::parse(manifest), &GivenVariables::default()).complete_to_judge();
    let Ok((app, _)) = app else {
        return String::new();
    };
    let policies = policies(&app, &Arc::new(Operator::default()));
    let listed = values.entries.iter().filter_map(|entry| Destination::of(entry));
    let mut tests = String::new();
    for destination in listed.chain([Destination::unlisted()]) {
        if let Some(test) = destination.test(values.name.as_str(), &policies) {
            let _ = write!(tests, "\n{test}");
        }
    }
    tests
}

/// A destination, and the name in it.
struct Destination {
    url: String,
    name: Option<String>,
}

impl Destination {
    /// That of an entry which has only one.
    fn of(entry: &str) -> Option<Self> {
        let (scheme, server) = entry.split_once("://")?;
        if server.is_empty() || server.contains(['*', '{', '/', ',', ' ']) || scheme.contains(['{', ',']) {
            return None;
        }
        let scheme = if scheme == "*" { "tcp" } else { scheme };
        let host = match server.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() => host,
            _ => server,
        };
        let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
        Some(Self {
            url: format!("{scheme}://{server}"),
            name: (!is_address).then(|| host.to_owned()),
        })
    }

    fn unlisted() -> Self {
        Self {
            url: "https://unlisted.example".to_owned(),
            name: Some("unlisted.example".to_owned()),
        }
    }

    /// Its test, as it stands in the file. None for what a test cannot be about.
    fn test(&self, component: &str, policies: &[Policy]) -> Option<String> {
        let expecting = |expected: &str| {
            let mut text = format!(
                "[[test]]\ncomponent = {}\ndestination = {}\n",
                Value::from(component),
                Value::from(&self.url)
            );
            if let Some(name) = &self.name {
                // The only address that `localhost` may have, and one as good as any for another name.
                let address = if name == "localhost" {
                    "127.0.0.1"
                } else {
                    "10.0.0.5"
                };
                let _ = writeln!(text, "dns = {{ {} = [\"{address}\"] }}", Value::from(name));
            }
            let _ = writeln!(text, "expect = {}", Value::from(expected));
            text
        };
        let (tests, wrong) = PolicyTests::parse(&SourceFile::new("outport.test.toml", expecting("allow")));
        if !wrong.is_empty() {
            return None;
        }
        let (results, _) = tests.run(policies, DeniedNames::Resolved);
        results.first().map(|result| expecting(&result.found))
    }
}
