//! Manifests with one mistake each, and with many.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test binary has no users")]

mod marked;

use marked::{Marked, note_codes, problem_codes, problem_places};
use outport_manifest::{
    ComponentId, EventSource, Executor, Fallback, HttpAnswer, Implementation, Inheritance, Manifest, Mount,
    PackageRequest, Remote, Route, Service, Severity, Source, SourceFile, VersionRange, WagiArguments,
};
use proptest::prelude::*;

/// A manifest around the lines of a component.
fn component(lines: &str) -> String {
    format!(
        "{HEAD}[[trigger.http]]\nroute = \"/\"\ncomponent = \"web\"\n[component.web]\nsource = \"web.wasm\"\n{lines}\n"
    )
}

/// A manifest around the lines of an HTTP trigger.
fn trigger(lines: &str) -> String {
    format!("{HEAD}[component.web]\nsource = \"web.wasm\"\n[[trigger.http]]\n{lines}\n")
}

/// A manifest with more at its end.
fn app(lines: &str) -> String {
    component("") + lines + "\n"
}

/// The same with a broker for all MQTT triggers.
fn with_broker(lines: &str) -> String {
    let broker = "trigger.mqtt = { address = \"mqtt://b\", username = \"u\", password = \"the password\", \
                  keep_alive_interval = \"30\" }\n[[trigger";
    app(lines).replacen("[[trigger", broker, 1)
}

/// A manifest for each trigger: its type and its lines.
fn events(triggers: &[(&str, &str)]) -> Vec<String> {
    let texts = triggers
        .iter()
        .map(|(kind, lines)| app(&format!("[[trigger.{kind}]]\ncomponent = \"web\"\n{lines}")));
    texts.collect()
}

const HEAD: &str = "spin_manifest_version = 2\n[application]\nname = \"app\"\n";

/// A trigger that holds its component, so that nothing else is missing.
const TRIGGER: &str = "[[trigger.http]]\nroute = \"/t\"\ncomponent = { source = \"t.wasm\" }\n";

/// Each row: the code, and a manifest in which every place that has it is marked.
fn rows() -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let mut add =
        |code: &'static str, texts: Vec<String>| rows.extend(texts.into_iter().map(|text| (code, text)));
    add(
        "manifest.syntax",
        vec![
            component("files = [\"a\",, \"b\"]").replace(",,", ",«,»"),
            component("description = \"a\\«»qx\""),
            component("files = «[»\"a\"\n[component.other]\nsource = \"x.wasm\""),
        ],
    );
    add(
        "manifest.duplicate-key",
        vec![
            component("«source» = \"again.wasm\""),
            app("[component.«web»]"),
            app("[«application»]"),
        ],
    );
    add(
        "manifest.unknown-key",
        vec![
            component("«sourc» = 1"),
            component("build = { command = \"x\", «directory» = \"y\" }"),
            component("files = [\"a\", { source = \"b\", destination = \"/\", «mode» = 1 }]"),
            component("«\"quoted key\"» = 1").replace("«\"quoted key\"»", "\"«quoted key»\""),
            trigger("route = \"/\"\ncomponent = \"web\"\n«path» = \"/\""),
            app("[«components».x]\nsource = \"x\""),
            app("[variables]\nx = { default = \"\", «requird» = true }"),
            app("[[trigger.command]]\ncomponent = \"web\"\n«arg» = []"),
            component("profile.debug = { «sources» = \"d.wasm\" }"),
            component("profile.debug.build = { command = \"x\", «workdir» = \"y\" }"),
            component("targets = [\"spin-up:3.3\", { url = \"https://e.test\", «name» = \"x\" }]"),
            component("").replace(
                "[[trigger",
                "targets = [{ path = \"e.toml\", «url2» = 1 }]\n[[trigger",
            ),
            component("").replace("[[trigger", "trigger.http = { «bas» = \"/\" }\n[[trigger"),
        ],
    );
    add(
        "manifest.missing-key",
        vec![
            format!("«»[application]\nname = \"a\"\n{TRIGGER}"),
            format!("«»spin_manifest_version = 2\n{TRIGGER}"),
            "«»spin_manifest_version = 2\n[application]\nname = \"a\"".into(),
            format!("spin_manifest_version = 2\n«[application]»\n{TRIGGER}"),
            format!("{HEAD}{TRIGGER}«[component.web]»\ndescription = \"no source\""),
            format!("{HEAD}{TRIGGER}[component]\nweb = «{{ }}»"),
            format!("{HEAD}{TRIGGER}[component]\n«web».description = \"no source\""),
            format!("{HEAD}[component.web]\nsource = \"x\"\n«[[trigger.http]]»\nroute = \"/\""),
            format!("{HEAD}[component.web]\nsource = \"x\"\n«[[trigger.http]]»\ncomponent = \"web\""),
            component("files = [«{ source = \"a\" }»]"),
            trigger("route = «{ }»\ncomponent = \"web\""),
            component("build = «{ }»"),
            component("profile.debug.build = «{ }»"),
            component("targets = [«{ }»]"),
        ],
    );
    add(
        "manifest.wrong-type",
        vec![
            component("description = «5»"),
            component("build = «\"make\"»"),
            component("build = [\"make\", «1»]"),
            component("build = { command = «1» }"),
            component("profile = «\"debug\"»"),
            component("profile = { debug = «\"d.wasm\"» }"),
            component("profile.debug.environment = { A = «1» }"),
            component("tool = { lint = «1» }"),
            component("targets = [«1»]"),
            app(
                "[[trigger.http]]\nroute = \"/x\"\nstatic_response = { status_code = «\"404\"», headers = { a = «1» } }",
            ),
            app("[[trigger.redis]]\nid = «1»\naddress = \"y\"\nchannel = \"x\"\ncomponent = «2»"),
            component("files = «\"a\"»"),
            component("files = [\"a\", «1»]"),
            component("exclude_files = [\"a\", «true»]"),
            component("environment = { A = «1», B = \"x\", C = «[]» }"),
            component("allowed_outbound_hosts = «\"https://a.example.com\"»"),
            component("variables = «[]»"),
            component("dependencies_inherit_configuration = «[\"files\"]»"),
            component("[component.other]\nsource = «1»"),
            component("[component]\nother = «\"other.wasm\"»"),
            format!("{HEAD}[component.web]\nsource = \"x\"\n«[trigger.http]»\nroute = \"/\""),
            trigger("route = «1»\ncomponent = \"web\""),
            trigger("route = \"/\"\ncomponent = «1»"),
            app("[variables]\nx = «\"default\"»\ny = { default = «1» }\nz = { required = «\"true\"» }"),
            format!("spin_manifest_version = 2\napplication = «\"app\"»\n{TRIGGER}"),
        ],
    );
    add(
        "manifest.value",
        vec![
            format!("spin_manifest_version = 2\n[application]\nname = \"«»\"\n{TRIGGER}"),
            trigger("route = \"/\"\ncomponent = \"web\"\nexecutor = { type = \"«cgi»\" }"),
            trigger(
                "route = \"/\"\ncomponent = \"web\"\nexecutor = { type = \"wagi\", entrypoint = \"«main»\" }",
            ),
            trigger("route = \"/\"\ncomponent = \"web\"\nstatic_response = «{ }»"),
            app("[[trigger.http]]\nroute = \"/x\"\nstatic_response = «{ }»\nexecutor = { type = \"http\" }"),
            trigger("route = \"/\"\ncomponent = \"web\"\nexecutor = { type = \"http\", argv = «\"x\"» }"),
            app("[[trigger.http]]\nroute = \"/x\"\nstatic_response = { status_code = «199» }"),
            app("[[trigger.http]]\nroute = \"/x\"\nstatic_response = { status_code = «600» }"),
            app(
                "[[trigger.http]]\nroute = \"/x\"\nstatic_response.headers = { \"«a b»\" = \"\", \"«»\" = \"\", a = «\"b\\r\\nc: d\"» }",
            ),
            app(
                "[[trigger.http]]\nroute = \"/x\"\nstatic_response.headers = { «Content-Length» = \"1\", «transfer-encoding» = \"chunked\" }",
            ),
            component("allowed_http_hosts = [\"ftp://«»a.test\"]")
                .replace("\"ftp://«»a.test\"", "\"«ftp://a.test»\""),
            component(
                "allowed_http_hosts = [\"a.test\", \"«http://a.test/path»\", \"«*.a.test»\", \"«{{ host }}»\"]",
            ),
            component("environment = { \"«A=B»\" = \"x\" }"),
            component(
                "dependencies.\"a:b/c\" = { path = \"c.wasm\", inherit_configuration = [\"«file»\", \"files\"] }",
            ),
        ],
    );
    add(
        "manifest.version",
        vec![
            format!("spin_manifest_version = «1»\n[application]\nname = \"a\"\n{TRIGGER}"),
            "spin_manifest_version = «\"1\"»\nname = \"a\"\nversion = \"1\"\n".into(),
            "spin_version = «\"1\"»\nname = \"a\"\ntrigger = { type = \"http\" }\n[[component]]\nid = \"x\"\n".into(),
            format!("spin_manifest_version = «\"2\"»\n[application]\nname = \"a\"\n{TRIGGER}"),
        ],
    );
    add(
        "manifest.unsupported",
        vec![
            trigger("route = \"/\"\ncomponent = \"web\"\ndependencies.«other» = [{ path = \"auth.wasm\" }]"),
            trigger("route = \"/\"\ncomponent = \"web\"\ncomponents = { «x» = \"web\" }"),
            app("[[trigger.command]]\ncomponent = \"web\"\ndependencies.«y» = []"),
            component("").replace("[[trigger", "trigger.http.base = \"«/shop»\"\n[[trigger"),
        ],
    );
    add(
        "manifest.trigger-type",
        vec![
            app("[[trigger.«htpp»]]\nroute = \"/\"\ncomponent = \"web\""),
            app("[[trigger.«HTTP»]]\nroute = \"/\"\ncomponent = \"web\""),
            app("[[trigger.«comand»]]\ncomponent = \"web\""),
            component("").replace("[[trigger", "trigger.«https» = {}\n[[trigger"),
        ],
    );
    add("manifest.nothing-to-start", vec![format!("{HEAD}«[trigger]»\n")]);
    add(
        "manifest.unknown-trigger",
        vec![
            app("[[trigger.«kafka»]]\ntopics = [\"x\"]\ncomponent = \"web\""),
            format!(
                "{HEAD}[[trigger.«timer»]]\ninterval_secs = 1\ncomponent = \"web\"\n[component.web]\nsource = \"x\""
            ),
        ],
    );
    add(
        "manifest.unknown-key",
        events(&[
            (
                "redis",
                "channel = \"x\"\naddress = \"y\"\n«executor» = { type = \"spin\" }",
            ),
            ("cron", "cron_expression = \"0 0 * * * *\"\n«timezone» = \"UTC\""),
            (
                "sqs",
                "queue_url = \"https://sqs.example/1/q\"\n«max_message» = 1",
            ),
        ]),
    );
    add(
        "manifest.unknown-key",
        vec![
            component("").replace(
                "[[trigger",
                "trigger.redis = { address = \"x\", «port» = 1 }\n[[trigger",
            ),
            component("").replace("[[trigger", "trigger.cron = { «time_zone» = \"UTC\" }\n[[trigger"),
        ],
    );
    add(
        "manifest.missing-key",
        vec![
            app("«[[trigger.redis]]»\ncomponent = \"web\"\naddress = \"x\""),
            app("«[[trigger.redis]]»\ncomponent = \"web\"\nchannel = \"x\""),
            app("«[[trigger.cron]]»\ncomponent = \"web\""),
            app("«[[trigger.cron]]»\ncron_expression = \"0 0 * * * *\""),
            app("«[[trigger.mqtt]]»\ncomponent = \"web\"\ntopic = \"a\"\nqos = \"1\""),
            app("«[[trigger.sqs]]»\ncomponent = \"web\""),
            component("").replace(
                "[[trigger",
                "trigger.mqtt = «{ address = \"x\", username = \"\", password = \"\" }»\n[[trigger",
            ),
            component("").replace("[[trigger", "trigger.redis = «{}»\n[[trigger"),
        ],
    );
    add(
        "manifest.wrong-type",
        events(&[
            ("redis", "channel = «1»\naddress = \"y\""),
            (
                "sqs",
                "queue_url = \"https://sqs.example/1/q\"\nmax_messages = «\"1\"»",
            ),
            (
                "sqs",
                "queue_url = \"https://sqs.example/1/q\"\nsystem_attributes = [«1»]",
            ),
        ]),
    );
    add("manifest.wrong-type", vec![
        component("").replace(
            "[[trigger",
            "trigger.mqtt = { address = \"x\", username = \"\", password = \"\", keep_alive_interval = «30» }\n[[trigger",
        ),
        with_broker("[[trigger.mqtt]]\ncomponent = \"web\"\ntopic = \"a\"\nqos = «1»"),
    ]);
    add(
        "manifest.value",
        events(&[
            ("redis", "channel = \"«»\"\naddress = \"y\""),
            ("cron", "cron_expression = \"«30 9 * * *»\""),
            ("cron", "cron_expression = \"«0 0 25 * * *»\""),
            ("cron", "cron_expression = \"«0 0 0 30 2 *»\""),
            (
                "cron",
                "cron_expression = \"0 0 * * * *\"\ntime_zone = \"«Europe/Nowhere»\"",
            ),
            ("sqs", "queue_url = \"«sqs.example/1/q»\""),
            ("sqs", "queue_url = \"«https://user:password@sqs.example/1/q»\""),
            (
                "sqs",
                "queue_url = \"https://sqs.example/1/q\"\nmax_messages = «11»",
            ),
            (
                "sqs",
                "queue_url = \"https://sqs.example/1/q\"\nidle_wait_seconds = «-1»",
            ),
        ]),
    );
    add(
        "manifest.value",
        vec![
            with_broker("[[trigger.mqtt]]\ncomponent = \"web\"\ntopic = \"a\"\nqos = \"«3»\""),
            with_broker("").replace("\"30\"", "\"«65536»\""),
        ],
    );
    add(
        "manifest.template",
        events(&[("redis", "channel = \"a «{{ b»\"\naddress = \"y\"")]),
    );
    add(
        "manifest.variable-reference",
        vec![
            app("[[trigger.redis]]\ncomponent = \"web\"\nchannel = \"«{{ b }}»\"\naddress = \"y\""),
            with_broker("").replace("\"the password\"", "\"«{{ b }}»\""),
            with_broker("[[trigger.mqtt]]\ncomponent = \"web\"\ntopic = \"a/«{{ b }}»\"\nqos = \"0\""),
        ],
    );
    add(
        "manifest.unsupported",
        events(&[(
            "cron",
            "cron_expression = \"0 0 * * * *\"\ndependencies.«middleware» = []",
        )]),
    );
    add(
        "manifest.route",
        vec![
            trigger("route = \"«»\"\ncomponent = \"web\""),
            trigger("route = \"«/.../a»\"\ncomponent = \"web\""),
            trigger("route = { private = «false» }\ncomponent = \"web\""),
        ],
    );
    add(
        "manifest.component-id",
        vec![
            app("[component.«my_app»]\nsource = \"x\""),
            app("[component.\"«my app»\"]\nsource = \"x\""),
            trigger("route = \"/\"\ncomponent = \"«Web App»\""),
        ],
    );
    add(
        "manifest.component-reference",
        vec![
            trigger("route = \"/\"\ncomponent = \"«wbe»\""),
            app("[[trigger.command]]\ncomponent = \"«job»\""),
            app("[[trigger.redis]]\naddress = \"y\"\nchannel = \"x\"\ncomponent = \"«job»\""),
            component("dependencies.\"a:b/c\" = { component = \"«lib»\" }"),
        ],
    );
    add(
        "manifest.source",
        vec![
            app(
                "[component.x]\nsource = { registry = \"«r.example.com/x»\", package = \"a:b\", version = \"1.0.0\" }",
            ),
            app("[component.x]\nsource = { package = \"«../b»\", version = \"1.0.0\" }"),
            app("[component.x]\nsource = { package = \"a:b\", version = \"«1.0»\" }"),
            app("[component.x]\nsource = «{ component = \"x\" }»"),
            app("[component.x]\nsource = «{ path = \"x.wasm\" }»"),
            app("[component.x]\nsource = \"«https://e.example.com/x.wasm»\""),
            component("dependencies.\"a:b\" = \"«b.wasm»\""),
            component("dependencies.\"a:b\" = { path = \"«http://e.example.com/x.wasm»\" }"),
            app(
                "[component.x]\nsource = «{ component = \"y\" }»\n[component.y]\nsource = «{ component = \"x\" }»",
            ),
            component("dependencies.\"a:b\" = \"«newest»\""),
            component("dependencies.\"a:b/c\" = { version = \"1.0\", package = \"«b»\" }"),
            app(
                "[component.x]\nsource = { url = \"https://e.example.com/x.wasm\", digest = \"«sha256:12»\" }",
            ),
            app("[component.x]\nsource = { url = \"https://e.example.com/x.wasm\", digest = \"«md5:12»\" }"),
            app(&format!(
                "[component.x]\nsource = {{ url = \"«ftp://x»\", digest = \"sha256:{}\" }}",
                "0".repeat(64)
            )),
        ],
    );
    add(
        "manifest.files",
        vec![
            component("files = [{ source = \"a\", destination = \"«assets»\" }]"),
            component("files = [{ source = \"a\", destination = \"«/a/../b»\" }]"),
            component("files = [\"«assets/..»\", \"b/*\"]"),
        ],
    );
    add(
        "manifest.label",
        vec![component(
            "key_value_stores = [\"default\", \"«my store»\"]\nsqlite_databases = [\"«»\"]",
        )],
    );
    add(
        "manifest.dependency",
        vec![
            component("dependencies.\"«a:»\" = { path = \"c.wasm\" }"),
            component("dependencies.plain = «\">= 1.0\"»"),
            component("dependencies.plain = «{ version = \"1.0\" }»"),
            component("dependencies.\"a:b/c\" = «{ version = \"1.0\", path = \"c.wasm\" }»"),
            component("dependencies.\"a:b/c\" = «{ path = \"c.wasm\", component = \"web\" }»"),
            component("dependencies.\"a:b/c\" = «{ }»"),
            component("dependencies.\"a:b\" = { path = \"c.wasm\", export = \"«x»\" }"),
            component(
                "dependencies = { \"a:b/c\" = { path = \"c.wasm\" }, \"«a:b»\" = { path = \"d.wasm\" } }",
            ),
            component(
                "dependencies_inherit_configuration = true\n\
                 dependencies.\"a:b/c\" = { path = \"c.wasm\", inherit_configuration = «false» }",
            ),
            component(
                "dependencies.\"a:b/c\" = { component = \"«lib»\" }\n[component.lib]\nsource = \"l\"\nfiles = [\"x\"]",
            ),
            trigger("route = \"/\"\ncomponent = \"web\"\ndependencies.middleware = [«{ }»]"),
            trigger(
                "route = \"/\"\ncomponent = \"web\"\n\
                 dependencies.middleware = [{ path = \"a.wasm\", export = «\"a:b/c\"» }]",
            ),
            trigger(
                "route = \"/\"\ncomponent = \"web\"\nexecutor = { type = \"wagi\" }\n\
                 dependencies.middleware = [«{ path = \"a.wasm\" }»]",
            ),
            trigger(
                "route = \"/\"\nstatic_response = {}\ndependencies.middleware = [«{ path = \"a.wasm\" }»]",
            ),
            trigger(
                "route = \"/\"\ncomponent = \"web\"\ndependencies.middleware = [{ component = \"«lib»\" }]\n\
                 [component.lib]\nsource = \"l\"\nallowed_outbound_hosts = [\"http://self\"]",
            ),
        ],
    );
    add(
        "manifest.variable-name",
        vec![
            app("[variables]\n«apiHost» = { default = \"x\" }"),
            app("[variables]\n\"«api host»\" = { default = \"x\" }"),
            component("variables = { «A» = \"x\" }"),
        ],
    );
    add(
        "manifest.variable-declaration",
        vec![
            app("[variables]\n«a» = { description = \"neither\" }"),
            app("[variables]\n«a» = { required = true, default = \"both\" }"),
            app("[variables.«a»]\nrequired = false"),
        ],
    );
    add(
        "manifest.template",
        vec![
            component("allowed_outbound_hosts = [\"https://«{{ host»\"]"),
            component("variables = { x = \"a «{{ my-host }}» b\" }"),
            component("variables = { x = \"«\\t{{ my-host }}»\" }"),
        ],
    );
    add(
        "manifest.variable-reference",
        vec![
            component("allowed_outbound_hosts = [\"https://«{{ host }}»:443\"]"),
            component("variables = { x = \"ü «{{ hos }}»\" }\n[variables]\nhost = { default = \"\" }"),
        ],
    );
    add(
        "manifest.entry",
        vec![component(
            "allowed_outbound_hosts = [\n  \"https://a.example.com\", # fine\n  \"*://a.example.com:«0»\",\n]",
        )],
    );
    rows
}

#[test]
fn every_mistake_has_its_code_and_its_place() {
    for (code, marked) in rows() {
        let marked = Marked::new(&marked);
        let reading = Manifest::parse(&marked.file());
        let codes = problem_codes(reading.problems());
        assert_eq!(
            codes,
            vec![code; marked.spans.len()],
            "{}\n{:#?}",
            marked.text,
            reading.problems()
        );
        assert_eq!(
            problem_places(reading.problems()),
            marked.locations(),
            "{}",
            marked.text
        );
        assert!(reading.complete().is_err(), "{}", marked.text);
    }
}

#[test]
fn places_are_the_same_with_windows_line_ends() {
    for (code, marked) in rows() {
        let unix = Marked::new(&marked);
        let windows = Marked::new(&marked.replace('\n', "\r\n"));
        let reading = Manifest::parse(&windows.file());
        assert_eq!(
            problem_codes(reading.problems()),
            vec![code; windows.spans.len()],
            "{}",
            windows.text
        );
        assert_eq!(
            problem_places(reading.problems()),
            windows.locations(),
            "{}",
            windows.text
        );
        let lines =
            |marked: &Marked| -> Vec<String> { marked.locations().iter().map(ToString::to_string).collect() };
        assert_eq!(lines(&unix), lines(&windows), "{marked}");
    }
}

#[test]
fn places_are_right_behind_unicode_and_in_every_layout() {
    let rows = [
        // (layout, the manifest, line, column)
        (
            "unicode",
            component("description = \"🙂 ü\" # é\nfiles = [ '日本', «1» ]"),
            10,
            17,
        ),
        ("tabs", component("\t\tdescription\t= «1»"), 9, 17),
        (
            "inline table",
            component("environment = { \"ü\" = \"a\", B = «1» }"),
            9,
            32,
        ),
        (
            "dotted key",
            component("environment.'日本'.x = \"a\"\n")
                .replace("environment.'日本'.x = \"a\"", "environment.B = «1»"),
            9,
            17,
        ),
        (
            "array over lines",
            component("exclude_files = [\n  \"a\", # ü\n\n  «2»,\n]"),
            12,
            3,
        ),
        (
            "multi-line inline table",
            component("environment = {\n  A = \"a\",\n  B = «1»,\n}"),
            11,
            7,
        ),
        (
            "multi-line string before",
            component("description = \"\"\"\nü\n\"\"\"\nfiles = «1»"),
            12,
            9,
        ),
        (
            "byte order mark",
            format!("\u{feff}spin_manifest_version = «1»\n[application]\nname = \"a\"\n{TRIGGER}"),
            1,
            25,
        ),
        (
            "literal string",
            component("allowed_outbound_hosts = ['*://a.example.com:«0»']"),
            9,
            46,
        ),
        (
            "escaped string",
            component("allowed_outbound_hosts = [\"«\\u002a://a.example.com:0»\"]"),
            9,
            28,
        ),
        (
            "multi-line string",
            component("allowed_outbound_hosts = [\"\"\"\n*://a.example.com:«0»\"\"\"]"),
            10,
            19,
        ),
    ];
    for (layout, marked, line, column) in rows {
        let marked = Marked::new(&marked);
        let reading = Manifest::parse(&marked.file());
        assert_eq!(
            problem_places(reading.problems()),
            marked.locations(),
            "{layout}: {:#?}",
            reading.problems()
        );
        let location = reading.problems()[0].location.to_string();
        assert_eq!(location, format!("spin.toml:{line}:{column}"), "{layout}");
    }
}

/// Twenty different mistakes of as many kinds as there are, syntax mistakes among them.
const TWENTY_MISTAKES: &str = r#"spin_manifest_version = «1»

[application]
nam = "shop"
version = «1.0»
«authors» "somebody"

[variables]
«apiHost» = { default = "x" }
«token» = { secret = true }
port = { default = «8080» }

[[trigger.http]]
route = "«/a//b»"
component = "cart"

[[trigger.http]]
route = "/cart"
component = "«crat»"

«[[trigger.http]]»
route = "/orders"

[[trigger.command]]
component = "cart"
«argument» = ["x"]

[component.cart]
source = { url = "https://example.com/cart.wasm", digest = "«sha1:00»" }
environment = { MODE = «true» }
files = [
  "assets/*.png",
  { source = "größe", destination = "«relative»" },
  «5»,
]
allowed_outbound_hosts = ["https://ok.example.com", "*://a.example.com:«0»", "https://«{{ hots }}»"]
key_value_stores = ["«not a store»"]
dependencies."a:b/c" = { component = "«lost»" }
«source» = "twice.wasm"

[component.«my_orders»]
source = "orders.wasm"
exclude_files = «"secret"»
"#;

#[test]
fn a_manifest_with_many_mistakes_yields_all_of_them_in_one_run() {
    let text = TWENTY_MISTAKES.replace("\nnam =", "\n«nam» =");
    let text = text.replace("«authors» \"", "authors «»\"");
    let marked = Marked::new(&text);
    let reading = Manifest::parse(&marked.file());
    let expected = [
        "manifest.version",
        "manifest.unknown-key", // nam
        "manifest.wrong-type",  // version
        "manifest.syntax",      // authors
        "manifest.variable-name",
        "manifest.variable-declaration",
        "manifest.wrong-type", // default
        "manifest.route",
        "manifest.component-reference",
        "manifest.missing-key", // component
        "manifest.unknown-key", // argument
        "manifest.source",
        "manifest.wrong-type", // MODE
        "manifest.files",
        "manifest.wrong-type", // 5
        "manifest.entry",
        "manifest.variable-reference",
        "manifest.label",
        "manifest.component-reference",
        "manifest.duplicate-key",
        "manifest.component-id",
        "manifest.wrong-type", // exclude_files
    ];
    assert_eq!(
        problem_codes(reading.problems()),
        expected,
        "{:#?}",
        reading.problems()
    );
    assert_eq!(problem_places(reading.problems()), marked.locations());
    assert!(expected.len() >= 20);
}

#[test]
fn what_a_line_that_cannot_be_read_says_is_not_reported_as_missing() {
    let rows = [
        (
            "the key itself",
            component("").replace("source = ", "source «»"),
            1,
        ),
        (
            "the component of a trigger",
            component("").replace("[component.web]", "[component.web«»"),
            1,
        ),
        (
            "a variable",
            component("variables = { x = \"{{ host }}\" }\n[variables]\nhost «»{ default = \"\" }"),
            1,
        ),
    ];
    for (what, marked, count) in rows {
        let marked = Marked::new(&marked);
        let reading = Manifest::parse(&marked.file());
        assert_eq!(
            problem_codes(reading.problems()),
            vec!["manifest.syntax"; count],
            "{what}: {:#?}",
            reading.problems()
        );
        assert_eq!(problem_places(reading.problems()), marked.locations(), "{what}");
    }
}

#[test]
fn a_key_that_is_misspelled_is_not_missing_as_well() {
    for (text, codes) in [
        (
            component("").replace("source =", "sorce ="),
            vec!["manifest.unknown-key"],
        ),
        (
            component("sorce = \"x.wasm\"").replace("source =", "sourc ="),
            vec!["manifest.unknown-key"; 2],
        ),
        (
            component("").replace("source =", "wasm ="),
            vec!["manifest.missing-key", "manifest.unknown-key"],
        ),
        (component("sorce = 1"), vec!["manifest.unknown-key"]),
        (
            app("[variables]\na = { requird = true }\nb = { defalt = \"\" }\nc = { secrt = true }"),
            vec![
                "manifest.unknown-key",
                "manifest.unknown-key",
                "manifest.variable-declaration",
                "manifest.unknown-key",
            ],
        ),
        (
            format!("{HEAD}[[triggers.http]]\nroute = \"/\"\ncomponent = \"web\"\n"),
            vec!["manifest.unknown-key"],
        ),
    ] {
        let source = SourceFile::new("spin.toml", text.as_str());
        let reading = Manifest::parse(&source);
        assert_eq!(problem_codes(reading.problems()), codes, "{text}");
    }
}

const MIDDLEWARE: &str = "write `middleware = [{ component = \"…\" }]`, or `{ path = \"…\" }` for a file";

const URL: &str = "write `{ url = \"https://…\", digest = \"sha256:…\" }`";

const OF_THE_COMPONENT: &str = "it belongs in the component's own table, `[component.ID]`";

#[test]
fn unknown_keys_and_names_get_the_one_that_was_meant() {
    let rows = [
        (
            component("allowed_outbond_hosts = []"),
            "did you mean `allowed_outbound_hosts`?",
        ),
        (
            trigger("route = \"/\"\ncomponent = \"wbe\""),
            "did you mean `web`?",
        ),
        (
            trigger("route = \"/\"\ncomponent = \"shop\""),
            "the components are `web`",
        ),
        (
            component("variables.x = \"{{ hots }}\"\n[variables]\nhost = { default = \"\" }"),
            "did you mean `host`?",
        ),
        (
            component("variables.x = \"{{ host }}\""),
            "the variables are: none",
        ),
        (
            app(
                "[[trigger.cron]]\ncomponent = \"web\"\ncron_expression = \"0 0 9 * * *\"\ntime_zone = \"europe/Berln\"",
            ),
            "did you mean `Europe/Berlin`?",
        ),
        (
            app("[[trigger.redis]]\ncomponent = \"web\"\nchannel = \"x\""),
            "write it here, or in `[application.trigger.redis]` for all triggers that have none",
        ),
        (component("files = \"a\""), "put brackets around it: `[\"…\"]`"),
        // What stands in another table than it belongs in.
        (
            component("[component.web.build]\ncommand = \"x\"\nallowed_outbound_hosts = []"),
            OF_THE_COMPONENT,
        ),
        (
            component("[component.web.variables]\nallowed_outbound_hosts = [\"https://a.example\"]"),
            OF_THE_COMPONENT,
        ),
        (app("[variables]\nfiles = [\"a\"]"), OF_THE_COMPONENT),
        (
            trigger("route = \"/\"\ncomponent = \"web\"\nkey_value_stores = []"),
            OF_THE_COMPONENT,
        ),
        (
            component("").replace("name = \"app\"", "name = \"app\"\nallowed_outbound_hosts = []"),
            OF_THE_COMPONENT,
        ),
        (
            format!("allowed_outbound_hosts = []\n{}", component("")),
            OF_THE_COMPONENT,
        ),
        (
            trigger("route = \"/\"\ncomponent = \"web\"\nvariables = { a = \"b\" }"),
            "it belongs in the component's, `[component.ID.variables]`, or the app's, `[variables]`",
        ),
        (
            component("route = \"/\""),
            "it belongs in the trigger's table, `[[trigger.http]]`",
        ),
        (
            component("").replace("[application]\nname", "name"),
            "it belongs in the app's table, `[application]`",
        ),
        (app("[component]\nsource = \"x.wasm\""), OF_THE_COMPONENT),
        (
            format!("{HEAD}{TRIGGER}[[component]]\nid = \"web\"\n"),
            "write `[component.ID]` for each instead of `[[component]]`",
        ),
        // … where the nearest key would permit what was to be denied.
        (
            component("disallowed_outbound_hosts = []"),
            "it belongs in the operator's runtime config file, in `[outbound_networking]`",
        ),
        (
            trigger("route = \"/\"\ncomponent = \"web\"\ndependencies.middlewear = [{ path = \"a.wasm\" }]"),
            "did you mean `middleware`?",
        ),
        (
            trigger("route = \"/\"\ncomponent = \"web\"\ndependencies.middleware = { path = \"a.wasm\" }"),
            MIDDLEWARE,
        ),
        (
            trigger("route = \"/\"\ncomponent = \"web\"\ndependencies.middleware = [\"web\"]"),
            MIDDLEWARE,
        ),
        (
            app("[component.x]\nsource = \"http://e.example.com/x.wasm\""),
            URL,
        ),
        (
            component("dependencies.\"a:b/c\" = { path = \"https://e.example.com/x.wasm\" }"),
            URL,
        ),
        (
            component("dependencies.\"a:b/c\" = \"https://e.example.com/x.wasm\""),
            URL,
        ),
        (
            component("dependencies.\"a:b/c\" = \"c.wasm\""),
            "a file is written `{ path = \"…\" }`",
        ),
        (
            app("[component.x]\nsource = { path = \"x.wasm\" }"),
            "write `source = \"app.wasm\"`",
        ),
        (component("description = 5"), "put quotes around it: `\"…\"`"),
        (
            format!("{HEAD}[component.web]\nsource = \"x\"\n[trigger.http]\nroute = \"/\""),
            "write `[[trigger.http]]` instead of `[trigger.http]`",
        ),
    ];
    for (text, help) in rows {
        let reading = Manifest::parse(&SourceFile::new("spin.toml", text.as_str()));
        let helps: Vec<_> = reading
            .problems()
            .iter()
            .filter_map(|problem| problem.help())
            .collect();
        assert_eq!(helps, [help], "{text}");
    }
}

#[test]
fn what_a_component_is_granted_has_a_note_only_while_nobody_serves_it() {
    for service in Service::ALL {
        let Some(kind) = service.labels() else { continue };
        let key = kind.list();
        let text = component(&format!("{key} = [\"default\"]"));
        let (_, notes) = Manifest::parse(&SourceFile::new("spin.toml", text))
            .complete()
            .unwrap();
        let expected = if service.is_served() {
            vec![]
        } else {
            vec!["manifest.not-used"]
        };
        assert_eq!(note_codes(&notes), expected, "{key}");
    }
}

#[test]
fn triggers_of_events_say_what_they_listen_to() {
    let text = with_broker(
        r#"
[application.trigger.redis]
address = "redis://{{ host }}"
[variables]
host = { default = "cache" }
[[trigger.redis]]
component = "web"
channel = "orders"
[[trigger.redis]]
id = "other"
component = "web"
channel = "{{ host }}"
address = "redis://elsewhere"
[[trigger.cron]]
component = { source = "job.wasm" }
cron_expression = "0 30 9 * * MON-FRI"
time_zone = "Europe/Berlin"
[[trigger.mqtt]]
component = "web"
topic = "home/+"
qos = "1"
[[trigger.sqs]]
component = "web"
queue_url = "https://sqs.example/1/q"
idle_wait_seconds = 5
message_attributes = ["All"]
"#,
    );
    let (manifest, notes) = Manifest::parse(&SourceFile::new("spin.toml", text))
        .complete()
        .unwrap();
    assert_eq!(notes.len(), 0, "{notes:#?}");
    let told: Vec<_> = manifest
        .event_triggers
        .iter()
        .map(|trigger| {
            let source = match &trigger.source {
                EventSource::Redis(channel) => {
                    format!("{} at {}", channel.channel.value, channel.address.value)
                }
                EventSource::Cron(schedule) => {
                    format!("{} in {}", schedule.expression.value, schedule.time_zone)
                }
                EventSource::Mqtt(topic) => format!(
                    "{} {:?} at {} as {}, {:?}",
                    topic.topic.value,
                    topic.qos,
                    topic.server.address.value,
                    topic.server.username.value,
                    topic.server.keep_alive
                ),
                EventSource::Sqs(queue) => format!(
                    "{} {} {:?} {:?} {:?}",
                    queue.queue_url.value.expose(),
                    queue.max_messages,
                    queue.idle_wait,
                    queue.system_attributes,
                    queue.message_attributes
                ),
            };
            (trigger.id.as_str(), trigger.component.value.as_str(), source)
        })
        .collect();
    let rows = [
        ("web-redis-trigger", "web", "orders at redis://{{ host }}"),
        ("other", "web", "{{ host }} at redis://elsewhere"),
        (
            "cron-trigger1",
            "cron-trigger1-component",
            "0 30 9 * * MON-FRI in Europe/Berlin",
        ),
        (
            "web-mqtt-trigger",
            "web",
            "home/+ AtLeastOnce at mqtt://b as u, 30s",
        ),
        (
            "web-sqs-trigger",
            "web",
            r#"https://sqs.example/1/q 10 5s [] ["All"]"#,
        ),
    ];
    let mut expected = rows.map(|(id, component, source)| (id, component, source.to_owned()));
    // One type after the other.
    let kinds = told.iter().map(|(id, ..)| *id).collect::<Vec<_>>();
    expected.sort_by_key(|(id, ..)| kinds.iter().position(|other| other == id));
    assert_eq!(told, expected);
}

#[test]
fn what_outport_does_not_act_on_is_accepted_and_named_in_a_note() {
    let rows = [
        (
            "manifest.not-used",
            component("dependencies.\"a:b/c\" = { path = \"c.wasm\", environment = { A = \"b\" } }"),
            Severity::Warning,
        ),
        (
            "manifest.not-used",
            component("").replace("[[trigger", "trigger.http = { base = \"/\" }\n[[trigger"),
            Severity::Note,
        ),
        (
            "manifest.not-used",
            component("").replace("[[trigger", "trigger.kafka = { servers = \"x\" }\n[[trigger"),
            Severity::Note,
        ),
        (
            "manifest.deprecated",
            component("allowed_http_hosts = [\"example.com\"]"),
            Severity::Warning,
        ),
        (
            "manifest.no-such-component",
            component(
                "allowed_outbound_hosts = [\"http://nosuch.spin.internal\", \"http://web.spin.internal\"]",
            ),
            Severity::Warning,
        ),
        (
            "manifest.never-started",
            component("") + "\n[component.other]\nsource = \"other.wasm\"\n",
            Severity::Note,
        ),
        (
            "manifest.duplicate-route",
            app("[[trigger.http]]\nroute = \"/\"\ncomponent = \"web\""),
            Severity::Warning,
        ),
        (
            "manifest.duplicate-route",
            app("[[trigger.http]]\nroute = \"/\"\nstatic_response.status_code = 404"),
            Severity::Warning,
        ),
    ];
    for (code, text, severity) in rows {
        let reading = Manifest::parse(&SourceFile::new("spin.toml", text.as_str()));
        assert_eq!(
            problem_codes(reading.problems()),
            [""; 0],
            "{text}\n{:#?}",
            reading.problems()
        );
        assert_eq!(note_codes(reading.notes()), [code], "{text}");
        assert_eq!(reading.notes()[0].severity(), severity, "{text}");
    }
}

#[test]
fn what_is_for_other_tools_is_read_as_spin_reads_it_and_nothing_is_said_of_it() {
    let rows = [
        component("build = { command = \"make\" }"),
        component("build = { command = [\"a\", \"b\"], workdir = \"x\", watch = [\"*\"] }"),
        component("build = [\"npm install\", \"npm run build\"]"),
        component("tool = { lint = { level = 1 } }"),
        component("targets = [\"spin-up:3.3\", { url = \"https://e.test/x\" }, { path = \"e.toml\" }]"),
        component(
            "profile.debug = { source = \"d.wasm\", environment = { A = \"b\" }, build = { command = [\"a\"] }, \
             dependencies = { \"a:b/c\" = { path = \"c.wasm\" } } }",
        ),
        component("").replace("[[trigger", "tool.x = {}\ntargets = [\"a\"]\n[[trigger"),
    ];
    for text in rows {
        let reading = Manifest::parse(&SourceFile::new("spin.toml", text.as_str()));
        assert_eq!(problem_codes(reading.problems()), [""; 0], "{text}");
        assert_eq!(note_codes(reading.notes()), [""; 0], "{text}");
    }
}

#[test]
fn allowed_http_hosts_are_the_entries_that_spin_makes_of_them() {
    let rows: [(&str, &[&str]); 10] = [
        ("", &[]),
        ("'a.test'", &["http://a.test", "https://a.test"]),
        ("'a.test:8080'", &["http://a.test:8080", "https://a.test:8080"]),
        ("'https://a.test/'", &["http://a.test", "https://a.test"]),
        ("'http://a.test:80'", &["http://a.test", "https://a.test"]),
        ("'https://a.test:443'", &["http://a.test", "https://a.test"]),
        ("'a.test:443'", &["http://a.test:443", "https://a.test:443"]),
        ("'[::1]:8001'", &["http://[::1]:8001", "https://[::1]:8001"]),
        (
            "'self', '10.0.0.1'",
            &["http://self", "http://10.0.0.1", "https://10.0.0.1"],
        ),
        ("'a.test', 'insecure:allow-all'", &["http://*:*", "https://*:*"]),
    ];
    for (hosts, expected) in rows {
        let text = component(&format!("allowed_http_hosts = [{hosts}]"));
        let (manifest, notes) = Manifest::parse(&SourceFile::new("spin.toml", text.as_str()))
            .complete()
            .expect(&text);
        let web = &manifest.components[0];
        let entries: Vec<_> = web.literal_entries().map(|entry| entry.text()).collect();
        assert_eq!(entries, expected, "{hosts}");
        let quoted: Vec<_> = expected.iter().map(|entry| format!("\"{entry}\"")).collect();
        let line = format!("allowed_outbound_hosts = [{}]", quoted.join(", "));
        let told = notes.iter().any(|note| note.to_string().contains(&line));
        assert_eq!(told, !expected.is_empty(), "{hosts}: {notes:?}");
    }
}

#[test]
fn a_manifest_with_all_its_parts_reads() {
    let digest = "ab".repeat(32);
    let text = format!(
        r#"
spin_manifest_version = 2

[application]
name = "shop"
version = "1.2.3"
description = "all parts"
authors = ["a@example.com", "b@example.com"]

[variables]
host = {{ default = "db.example.com" }}
token = {{ required = true, secret = true, description = "for the API" }}

[[trigger.http]]
route = "/:id/..."
component = "web"
executor = {{ type = "http" }}

[[trigger.http]]
route = {{ private = true }}
component = "lib"

[[trigger.http]]
route = "/inline"
component = {{ source = "inline.wasm" }}

[[trigger.http]]
id = "named"
route = "/named"
[trigger.http.component]
source = "named.wasm"

[[trigger.command]]
component = "web"
args = ["--once", "x"]

[component.web]
source = {{ url = "https://example.com/web.wasm", digest = "sha256:{digest}" }}
description = "the front"
environment = {{ MODE = "production", LANG = "de" }}
files = ["images/*.png", {{ source = "assets", destination = "/" }}]
exclude_files = ["images/secret.png"]
allowed_outbound_hosts = ["https://api.example.com", "*://{{{{ host }}}}:5432"]
variables = {{ dsn = "postgres://{{{{ host }}}}", token = "{{{{ token }}}}" }}
[component.web.dependencies]
"a:b/c" = {{ path = "c.wasm", export = "x:y/z", inherit_configuration = ["files"] }}
"plain" = {{ component = "lib", inherit_configuration = "all" }}
"d:e/f@1.0.0" = {{ url = "https://example.com/f.wasm", digest = "sha256:{digest}" }}

[component.lib]
source = "lib.wasm"
"#
    );
    let (manifest, notes) = Manifest::parse(&SourceFile::new("spin.toml", text))
        .complete()
        .unwrap();
    assert_eq!(notes.len(), 0, "{notes:#?}");
    assert_eq!(manifest.application.name.value, "shop");
    assert_eq!(manifest.application.authors.len(), 2);

    let names: Vec<_> = manifest
        .variables
        .iter()
        .map(|variable| variable.name.value.as_str())
        .collect();
    assert_eq!(names, ["host", "token"]);
    assert_eq!(manifest.variables[1].fallback, Fallback::Required);
    assert!(manifest.variables[1].secret);

    let triggers: Vec<_> = manifest
        .http_triggers
        .iter()
        .map(|trigger| {
            (
                trigger.id.as_str(),
                trigger.route.value.to_string(),
                trigger.component().unwrap().value.to_string(),
            )
        })
        .collect();
    let expected = [
        ("web-http-trigger", "/:id/...", "web"),
        ("lib-http-trigger", "private", "lib"),
        ("http-trigger1", "/inline", "http-trigger1-component"),
        ("named", "/named", "named-component"),
    ];
    assert_eq!(
        triggers,
        expected.map(|(id, route, component)| (id, route.to_owned(), component.to_owned()))
    );
    assert_eq!(manifest.http_triggers[1].route.value, Route::Private);
    assert_eq!(manifest.command_triggers[0].id, "web-command-trigger");
    assert_eq!(manifest.command_triggers[0].args.len(), 2);

    let ids: Vec<_> = manifest
        .components
        .iter()
        .map(|component| component.id.value.to_string())
        .collect();
    assert_eq!(ids, ["web", "lib", "http-trigger1-component", "named-component"]);
    let web = &manifest.components[0];
    let Source::Remote(Remote::Url { digest: read, .. }) = &web.source.value else {
        panic!("{:?}", web.source)
    };
    assert_eq!(read.hex(), digest);
    assert_eq!(web.files[0].value, Mount::Pattern("images/*.png".into()));
    assert_eq!(
        web.files[1].value,
        Mount::Placement {
            source: "assets".into(),
            destination: "/".into()
        }
    );
    assert_eq!(web.environment[0].0.value, "MODE");
    assert_eq!(web.allowed_outbound_hosts.len(), 2);
    assert_eq!(web.literal_entries().count(), 1);
    assert_eq!(web.variables[0].1.value.as_str(), "postgres://{{ host }}");

    let dependencies = &web.dependencies;
    let [own, app, url] = dependencies.list.as_slice() else {
        panic!("{dependencies:?}")
    };
    assert_eq!(own.implementation.value, Implementation::Path("c.wasm".into()));
    assert_eq!(
        app.implementation.value,
        Implementation::Component(ComponentId::parse("lib").unwrap())
    );
    assert_eq!(dependencies.inheritance(app), Inheritance::Everything);
    assert_eq!(dependencies.inheritance(url), Inheritance::Nothing);
    assert_eq!(
        manifest
            .component(&ComponentId::parse("lib").unwrap())
            .unwrap()
            .source
            .value,
        Source::Path("lib.wasm".into())
    );
    assert!(
        manifest
            .component(&ComponentId::parse("nobody").unwrap())
            .is_none()
    );
}

#[test]
fn packages_are_asked_for_in_each_of_spins_forms() {
    let range = |text: &str| VersionRange::Range(text.parse().unwrap());
    let exact = VersionRange::Exact("1.2.0-rc.1".parse().unwrap());
    let rows = [
        (
            "source = { package = \"a:b\", version = \"1.2.0-rc.1\" }",
            ("a:b", None, exact.clone()),
        ),
        (
            "source = { package = \"a:b\", version = \"1.2.0-rc.1\", registry = \"R.example.com:5000\" }",
            ("a:b", Some("r.example.com:5000"), exact),
        ),
        (
            "source = \"x\"\ndependencies.\"a:b/c@1.0.0\" = \">=1.0, <3\"",
            ("a:b", None, range(">=1.0, <3")),
        ),
        (
            "source = \"x\"\ndependencies.plain = { version = \"1.0\", package = \"d:e\", registry = \"r\", export = \"f\" }",
            ("d:e", Some("r"), range("^1.0")),
        ),
    ];
    for (written, (name, registry, versions)) in rows {
        let text = app(&format!("[component.x]\n{written}"));
        let (manifest, _) = Manifest::parse(&SourceFile::new("spin.toml", text.as_str()))
            .complete()
            .expect(&text);
        let x = manifest.component(&ComponentId::parse("x").unwrap()).unwrap();
        let read = match (&x.source.value, x.dependencies.list.first()) {
            (Source::Remote(remote), None) => remote.clone(),
            (_, Some(dependency)) => match &dependency.implementation.value {
                Implementation::Remote(remote) => remote.clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        let expected = Remote::Package(PackageRequest {
            name: name.into(),
            registry: registry.map(str::to_owned),
            versions,
        });
        assert_eq!(read, expected, "{text}");
    }
}

#[test]
fn a_component_may_have_the_code_of_another() {
    let text =
        app("[component.x]\nsource = { component = \"y\" }\n[component.y]\nsource = { component = \"web\" }");
    let (manifest, _) = Manifest::parse(&SourceFile::new("spin.toml", text))
        .complete()
        .unwrap();
    let x = manifest.component(&ComponentId::parse("x").unwrap()).unwrap();
    assert_eq!(manifest.code_of(x).unwrap().id.value.as_str(), "web");
}

#[test]
fn a_dependency_inherits_nothing_unless_it_is_written() {
    let rows = [
        ("", "", Inheritance::Nothing),
        (
            "dependencies_inherit_configuration = false\n",
            "",
            Inheritance::Nothing,
        ),
        (
            "dependencies_inherit_configuration = true\n",
            "",
            Inheritance::Everything,
        ),
        ("", ", inherit_configuration = true", Inheritance::Everything),
        ("", ", inherit_configuration = false", Inheritance::Nothing),
        ("", ", inherit_configuration = \"none\"", Inheritance::Nothing),
        ("", ", inherit_configuration = []", Inheritance::Keys(vec![])),
    ];
    for (component_key, dependency_key, expected) in rows {
        let text = component(&format!(
            "{component_key}dependencies.\"a:b/c\" = {{ path = \"c.wasm\"{dependency_key} }}"
        ));
        let (manifest, _) = Manifest::parse(&SourceFile::new("spin.toml", text.as_str()))
            .complete()
            .expect(&text);
        let dependencies = &manifest.components[0].dependencies;
        assert_eq!(
            dependencies.inheritance(&dependencies.list[0]),
            expected,
            "{text}"
        );
    }
}

#[test]
fn a_made_up_id_never_collides_with_a_written_one() {
    let text = format!(
        "{HEAD}[[trigger.http]]\nroute = \"/\"\ncomponent = {{ source = \"a\" }}\n\
         [component.http-trigger1-component]\nsource = \"b\"\n[component.inline-component1]\nsource = \"c\"\n"
    );
    let (manifest, _) = Manifest::parse(&SourceFile::new("spin.toml", text))
        .complete()
        .unwrap();
    assert_eq!(
        manifest.http_triggers[0].component().unwrap().value.as_str(),
        "inline-component2"
    );
}

#[test]
fn a_route_is_answered_by_a_handler_a_command_or_the_manifest() {
    let answer = |rest: &str| {
        let text = app(&format!("[[trigger.http]]\nroute = \"/x\"\n{rest}"));
        let (manifest, notes) = Manifest::parse(&SourceFile::new("spin.toml", text.as_str()))
            .complete()
            .unwrap();
        assert!(notes.is_empty(), "{text}\n{notes:#?}");
        manifest.http_triggers[1].answer.clone()
    };
    let wagi = |argv: &str| Executor::Wagi(WagiArguments::new(argv));
    let rows = [
        ("", Executor::Handler),
        ("executor.type = \"http\"", Executor::Handler),
        ("executor.type = \"spin\"", Executor::Handler),
        ("executor.type = \"wagi\"", wagi("${SCRIPT_NAME} ${ARGS}")),
        (
            "executor = { type = \"wagi\", argv = \"php ${ARGS}\", entrypoint = \"_start\" }",
            wagi("php ${ARGS}"),
        ),
    ];
    for (written, expected) in rows {
        let HttpAnswer::Component { id, executor } = answer(&format!("component = \"web\"\n{written}"))
        else {
            panic!("{written}")
        };
        assert_eq!((id.value.as_str(), executor), ("web", expected), "{written}");
    }
    let rows = [
        ("{ }", 200, &[] as &[(&str, &str)], ""),
        ("{ status_code = 404, body = \"gone\" }", 404, &[], "gone"),
        (
            "{ headers = { Location = \"/y\", a = \"b\", A = \"c\" }, status_code = 301 }",
            301,
            &[("location", "/y"), ("a", "b"), ("a", "c")],
            "",
        ),
        ("{ status_code = 204, body = \"none\" }", 204, &[], ""),
        ("{ status_code = 599 }", 599, &[], ""),
    ];
    for (written, status, headers, body) in rows {
        let HttpAnswer::Static(fixed) = answer(&format!("static_response = {written}")) else {
            panic!("{written}")
        };
        // In the place of the component it is the same.
        let HttpAnswer::Static(same) = answer(&format!("component = {{ static_response = {written} }}"))
        else {
            panic!("{written}")
        };
        assert_eq!(format!("{same:?}"), format!("{fixed:?}"));
        let response = fixed.response();
        let told: Vec<_> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(
            (
                response.status().as_u16(),
                told.as_slice(),
                response.body().as_str()
            ),
            (status, headers, body),
            "{written}"
        );
    }
}

#[test]
fn an_item_of_the_wrong_type_is_told_by_its_number() {
    for (line, message) in [
        (
            "allowed_outbound_hosts = [\"https://a.test\", 5]",
            "item 2 of `allowed_outbound_hosts` must be a string, not a whole number",
        ),
        (
            "allowed_http_hosts = [true]",
            "item 1 of `allowed_http_hosts` must be a string, not `true` or `false`",
        ),
        (
            "allowed_outbound_hosts = 5",
            "`allowed_outbound_hosts` must be an array of strings, not a whole number",
        ),
    ] {
        let source = SourceFile::new("spin.toml", component(line));
        let reading = Manifest::parse(&source);
        let told: Vec<String> = reading
            .problems()
            .iter()
            .map(|one| one.mistake.to_string())
            .collect();
        assert_eq!(told, [message]);
    }
}

#[test]
fn messages_escape_what_a_terminal_would_act_on() {
    let escape = r"\u001b[31m\u202e";
    let texts = [
        component(&format!("\"{escape}\" = 1")),
        component(&format!("files = [{{ \"{escape}\" = 1 }}]")),
        component(&format!(
            "allowed_outbound_hosts = [\"{escape}\", \"{{{{ {escape} }}}}\"]"
        )),
        component(&format!(
            "key_value_stores = [\"{escape}\"]\nenvironment.\"{escape}=\" = 1"
        )),
        component(&format!("dependencies.\"{escape}\" = {{ \"{escape}\" = 1 }}")),
        component(&format!(
            "[component.\"{escape}\"]\n[variables]\n\"{escape}\" = 1"
        )),
        trigger(&format!("route = \"/{escape}\"\ncomponent = \"{escape}\"")),
        app(&format!("[[trigger.\"{escape}\"]]\n[tool]\n\"{escape}\" = {{}}")),
    ];
    for text in texts {
        let reading = Manifest::parse(&SourceFile::new("spin.toml", text.as_str()));
        assert!(!reading.problems().is_empty(), "{text}");
        let problems = reading
            .problems()
            .iter()
            .flat_map(|problem| [Some(problem.to_string()), problem.help()]);
        let notes = reading.notes().iter().map(|note| Some(note.to_string()));
        for message in problems.chain(notes).flatten() {
            assert!(!message.contains(['\u{1b}', '\u{202e}']), "{message:?}");
        }
    }
}

#[test]
fn no_message_shows_the_password_of_a_url() {
    const URL: &str = "http://user:s3cret@h";
    let rows = [
        component(&format!("allowed_http_hosts = [\"{URL}\"]")),
        component("allowed_http_hosts = [\"user:s3cret@h\"]"),
        component(&format!("allowed_outbound_hosts = [\"{URL}/{{{{ A }}}}\"]")),
        component(&format!("allowed_outbound_hosts = [\"{URL}\"]")),
        component(&format!("key_value_stores = [\"{URL}\"]")),
        component(&format!("environment = {{ \"{URL}=\" = \"x\" }}")),
        component(&format!("variables = {{ \"{URL}\" = \"x\" }}")),
        component(&format!("dependencies.\"{URL}\" = {{ path = \"c.wasm\" }}")),
        component(&format!("dependencies.\"a:b/c\" = {{ version = \"{URL}\" }}")),
        component(&format!("\"{URL}\" = 1")),
        trigger(&format!(
            "route = \"/\"\ncomponent = \"web\"\nexecutor = {{ type = \"{URL}\" }}"
        )),
        trigger(&format!("route = \"/\"\ncomponent = \"{URL}\"")),
        app(&format!("[component.\"{URL}\"]\nsource = \"x\"")),
    ];
    for text in rows {
        let reading = Manifest::parse(&SourceFile::new("spin.toml", text.as_str()));
        assert!(!reading.problems().is_empty(), "{text}");
        for problem in reading.problems() {
            let told = format!("{problem} {:?}", problem.help());
            assert!(!told.contains("s3cret"), "{told}");
        }
    }
}

#[test]
fn debug_output_of_a_manifest_shows_no_secret() {
    let text = app("[variables]\ntoken = { default = \"hunter2\", secret = true }");
    let reading = Manifest::parse(&SourceFile::new("spin.toml", text));
    assert!(!format!("{reading:?}").contains("hunter2"));
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    /// Cutting pieces out of a good manifest, repeating them and putting odd text in must never panic, and every
    /// place must be one in the file.
    #[test]
    fn parsing_a_mutated_manifest_never_panics(
        cuts in prop::collection::vec((0.0..1.0_f64, 0_usize..40, 0_usize..ODD.len()), 1..8),
    ) {
        let mut text = Marked::new(TWENTY_MISTAKES).text;
        for (at, length, odd) in cuts {
            let start = text.floor_char_boundary((at * text.len() as f64) as usize);
            let end = text.ceil_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end, ODD[odd]);
        }
        let source = SourceFile::new("spin.toml", text.as_str());
        let reading = Manifest::parse(&source);
        for problem in reading.problems() {
            let outport_policy::Location::File { span, .. } = &problem.location else { panic!("{problem}") };
            prop_assert!(text.get(span.clone()).is_some(), "{problem}: {span:?}");
            prop_assert!(!problem.to_string().is_empty());
        }
    }

    #[test]
    fn parsing_any_text_never_panics(text in "\\PC*|[\\[\\]{}=\"'\n\r a.#\\\\]*") {
        let reading = Manifest::parse(&SourceFile::new("spin.toml", text));
        prop_assert!(reading.complete().is_err());
    }
}

const ODD: [&str; 14] = [
    "",
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    "=",
    "\n",
    "\r\n",
    "ü",
    "\"\"\"",
    "{{",
    "🙂 = \u{feff}",
];
