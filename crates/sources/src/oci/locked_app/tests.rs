use std::fs;

use outport_manifest::{Manifest, SourceFile};
use serde_json::json;

use super::*;

fn digest(bytes: &[u8]) -> String {
    digest_of(bytes).to_string()
}

fn written(app: &Json, blobs: &[&'static [u8]]) -> Result<(tempfile::TempDir, String), LockedAppError> {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::new(folder.path().to_owned());
    let find = |wanted: &Digest| {
        let blob = blobs.iter().find(|blob| digest_of(blob) == *wanted)?;
        Some(Ok(Box::new(*blob) as Box<dyn Read>))
    };
    LockedApp::parse(app.to_string().as_bytes())?.write(&find, &mut tree)?;
    tree.finish()?;
    let manifest = fs::read_to_string(folder.path().join("spin.toml")).unwrap();
    Ok((folder, manifest))
}

fn app() -> Json {
    json!({
        "spin_lock_version": 1,
        "must_understand": ["component_host_requirements"],
        "metadata": {
            "name": "sh\"op", "version": "1.0", "authors": ["a"], "description": null,
            "trigger": { "type": "redis", "address": "redis://{{ host }}" },
            "triggers": { "redis": { "address": "redis://{{ host }}" } },
        },
        "variables": {
            "host": { "default": "localhost" }, "key": { "secret": true, "description": "a key" },
        },
        "triggers": [
            { "id": "web-http-trigger", "trigger_type": "http",
              "trigger_config": { "component": "web", "route": "/...", "executor": null } },
            { "id": "ping", "trigger_type": "command", "trigger_config": { "component": "tool" } },
        ],
        "components": [
            { "id": "web",
              "metadata": {
                  "allowed_outbound_hosts": ["https://{{ host }}"], "databases": ["default"],
                  "key_value_stores": ["default"], "ai_models": [], "description": "site",
                  "build": { "command": "make" },
              },
              "source": { "content_type": "application/wasm", "digest": digest(b"web") },
              "env": { "A": "x = \"1\"\n" },
              "config": { "key": "{{ key }}" },
              "files": [
                  { "path": "static/index.html", "digest": digest(b"<html>") },
                  { "path": "/tiny", "digest": digest(b"t"), "inline": "dA" },
                  { "path": "padded", "inline": "dA==" },
              ],
              "host_requirements": { "local_service_chaining": "required", "other": "optional" },
              "dependencies": {
                  "my:dep/api@1.0.0": {
                      "source": { "content_type": "application/wasm", "digest": digest(b"dep") },
                      "export": null, "inherit": { "Some": ["allowed_outbound_hosts"] } },
                  "plain": {
                      "source": { "content_type": "application/wasm", "digest": digest(b"dep") },
                      "export": "x:y/z", "inherit": "All" },
              } },
            { "id": "tool", "source": { "content_type": "application/wasm", "digest": digest(b"web") } },
        ],
    })
}

#[test]
fn an_app_of_spins_becomes_a_manifest_that_says_the_same() {
    let (folder, text) = written(&app(), &[b"web", b"dep", b"<html>"]).unwrap();
    let source = SourceFile::new("spin.toml", text.as_str());
    let (manifest, _) = Manifest::parse(&source)
        .complete()
        .unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
    assert_eq!(manifest.application.name.value, "sh\"op");
    let web = &manifest.components[0];
    assert_eq!(web.environment[0].1.value, "x = \"1\"\n");
    assert_eq!(web.variables.len(), 1);
    assert_eq!(web.allowed_outbound_hosts.len(), 1);
    assert_eq!(web.sqlite_databases[0].value, "default");
    assert_eq!(web.dependencies.list.len(), 2);
    assert_eq!(manifest.variables.len(), 2);
    assert_eq!(manifest.http_triggers[0].id, "web-http-trigger");
    assert_eq!(manifest.command_triggers.len(), 1);
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("components/0.wasm"), b"web");
    assert_eq!(read("components/1.wasm"), b"dep");
    assert_eq!(read("files/0/static/index.html"), b"<html>");
    assert_eq!(read("files/0/tiny"), b"t");
    assert_eq!(read("files/0/padded"), b"t");
    assert!(text.contains("redis://{{ host }}"), "{text}");
    assert!(!folder.path().join("components/2.wasm").exists());
}

#[test]
fn what_cannot_be_said_or_found_is_refused() {
    let changed = |pointer: &str, value: Json| {
        let mut app = app();
        let (above, key) = pointer.rsplit_once('/').unwrap();
        app.pointer_mut(above).unwrap()[key] = value;
        app
    };
    let rows = [
        (changed("/spin_lock_version", json!(2)), "requirement"),
        (changed("/must_understand", json!(["new"])), "requirement"),
        (
            changed("/host_requirements", json!({ "gpu": "required" })),
            "requirement",
        ),
        (
            changed("/components/0/host_requirements", json!({ "gpu": "required" })),
            "requirement",
        ),
        (
            changed("/components/0/source/digest", json!(digest(b"other"))),
            "missing",
        ),
        (
            changed("/components/0/source/digest", json!("sha256:../x")),
            "content",
        ),
        (changed("/components/0/source/digest", json!(null)), "content"),
        (changed("/components/0/files/1/inline", json!("eA")), "content"),
        (changed("/components/0/files/1/inline", json!("!")), "content"),
        (changed("/components/0/files/0/path", json!("../../x")), "tree"),
        (changed("/components/0/files/0/path", json!("//")), "tree"),
        (changed("/components/0/files/0/path", json!("tiny")), "tree"),
        (changed("/components/0/files/0/path", json!("tiny/x")), "tree"),
        (changed("/triggers", json!({})), "json"),
    ];
    for (app, expected) in rows {
        let is = match written(&app, &[b"web", b"dep", b"<html>"]) {
            Err(LockedAppError::Requirement(_)) => "requirement",
            Err(LockedAppError::Missing { .. }) => "missing",
            Err(LockedAppError::Content { .. }) => "content",
            Err(LockedAppError::Tree(_)) => "tree",
            Err(LockedAppError::Json(_)) => "json",
            Ok((_, text)) => panic!("{text}"),
        };
        assert_eq!(is, expected, "{app}");
    }
}
