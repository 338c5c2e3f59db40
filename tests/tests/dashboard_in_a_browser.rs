//! The dashboard as a person has it: in a real Chromium, by mouse, by keyboard, narrow and dark. One browser for all of it.
//!
//! `UPDATE_SCREENSHOTS=1` makes the pictures of the documentation.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::thread;

use outport_e2e::browser::Browser;
use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::http::{self, Closing, Origin};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::stores;
use outport_e2e::tcp::{Manner, TcpPeer};
use outport_e2e::turnstile::Turnstile;
use serde_json::{Value, json};

use super::dashboard::{attempt, dashboard};

/// What an attacker would like to be a part of the page; it can be in the name of an app, and in the label of a store.
const MARKUP: &str = "<img src=x onerror=alert(1)>";

/// The same without blanks, as a label of a store.
const LABEL: &str = "<img/src=x/onerror=alert(1)>";

fn app(entries: &str) -> String {
    format!(
        r#"
spin_manifest_version = 2
[application]
name = "{MARKUP}"

[[trigger.http]]
route = "/..."
component = "web"

[[trigger.http]]
route = "/mail/..."
component = "mailer"

[[trigger.http]]
route = "/stores"
component = "stores"

[component.stores]
source = "GUESTS/stores.wasm"

[component.web]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = [{entries}]

[component.mailer]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = [{entries}]
"#
    )
}

struct Page {
    browser: Browser,
    run: Running,
    url: String,
}

impl Page {
    fn of(run: Running, browser: Browser) -> Self {
        run.address();
        let (address, path) = dashboard(&run);
        Self {
            browser,
            run,
            url: format!("http://{address}{path}"),
        }
    }

    fn has(&mut self, selector: &str, text: &str) {
        let (selector, text) = (Value::from(selector), Value::from(text));
        self.browser.until(&format!(
            "(document.querySelector({selector})?.innerText ?? '').includes({text})"
        ));
    }

    #[track_caller]
    fn complains_of_nothing(&mut self) {
        let complaints = self.browser.complaints();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

#[test]
fn the_page_shows_what_happens_and_is_usable_by_everybody() {
    let Some(browser) = Browser::start() else { return };
    let (peer, other) = (TcpPeer::echo(), TcpPeer::start(Manner::Stall));
    let (port, at) = (peer.port(), Turnstile::closed());
    let entries = format!(
        "\"*://localhost:{port}\", \"*://127.0.0.1:{}\", \"{}\"",
        other.port(),
        at.entry()
    );
    let run = Outport::up(&app(&entries)).option("--dashboard").start();
    let mut page = Page::of(run, browser);
    page.browser.look((1280, 900), "light");
    let url = page.url.clone();
    page.browser.open(&url);
    an_empty_page_says_what_to_do(&mut page);
    what_a_guest_does_appears(&mut page, port);
    names_made_of_markup_are_text(&mut page);
    everything_is_reached_by_keyboard(&mut page);
    what_is_shown_can_be_filtered_and_paused(&mut page);
    screen_readers_have_tables(&mut page);
    it_is_readable_narrow_and_dark(&mut page);
    it_says_when_the_process_is_gone(page);
}

fn an_empty_page_says_what_to_do(page: &mut Page) {
    page.has("#state-words", "Live");
    page.has("#picture-empty", "Send the app a request");
    page.has("#refusals-empty", "Nothing was refused");
    // Components are there before they do anything.
    page.browser
        .until("document.querySelectorAll('.node.component').length === 3");
    page.complains_of_nothing();
}

fn what_a_guest_does_appears(page: &mut Page, port: u16) {
    let connect =
        format!("dns.lookup localhost; tcp.connect 127.0.0.1:{port} as a; tcp.send a hello; tcp.recv a");
    attempt(&page.run, &connect);
    page.has("#edges", &format!("localhost:{port}"));
    page.has("#edges", "spin.toml:");
    page.browser
        .until("document.querySelectorAll('.curve.allowed').length === 1");
    attempt(&page.run, "tcp.connect 127.0.0.1:22");
    page.has("#refusals-list", "runtime.loopback-port");
    page.has("#refusals-list", "--allow-loopback-ports 22");
    page.has("#refusals-list", "once");
    page.browser
        .until("document.querySelector('.curve.refused') !== null");
    // It is counted while it is looked at, and the row stays the same.
    page.browser
        .evaluate("window.first = document.querySelector('#refusals-list li'); 0");
    attempt(&page.run, "tcp.connect 127.0.0.1:22; tcp.connect 127.0.0.1:22");
    page.has("#refusals-list", "3 times");
    page.browser
        .until("document.querySelector('#refusals-list li') === window.first");
    page.has("#announcements", "refusal");
    // What the button copies is what is to be written.
    page.browser.call(
        "Browser.grantPermissions",
        json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}),
    );
    page.browser
        .evaluate("document.querySelector('#refusals-list .copy').click(); 0");
    page.has("#refusals-list .copy", "Copied");
    let copied = page.browser.evaluate("navigator.clipboard.readText()");
    assert_eq!(copied, "--allow-loopback-ports 22");
    page.complains_of_nothing();
}

fn names_made_of_markup_are_text(page: &mut Page) {
    page.has("#app", MARKUP);
    // A guest chooses the label that it opens.
    stores::perform(
        &page.run,
        "stores",
        &[format!("kv2.open {LABEL}"), "kv2.open <b>bold</b>".to_owned()],
    );
    page.has("#refusals-list", LABEL);
    page.has("#edges", LABEL);
    page.browser.until(&format!(
        "[...document.querySelectorAll('.node title')].some((title) => title.textContent.includes({}))",
        Value::from(LABEL)
    ));
    for element in [
        "main img",
        "main b",
        "main script",
        "header img",
        "title img",
        "h1 img",
    ] {
        let found = page
            .browser
            .evaluate(&format!("document.querySelectorAll('{element}').length"));
        assert_eq!(found, 0, "{element}");
    }
    page.complains_of_nothing();
    // And if a script got in, it would not run: the policy of the page is in force.
    let refused = page.browser.evaluate(
        "new Promise((tell) => {
            document.addEventListener('securitypolicyviolation', (event) => tell(event.effectiveDirective), { once: true });
            const script = document.createElement('script');
            try { script.textContent = 'window.ran = 1'; document.body.append(script); } catch (error) { tell(error.name); }
        })",
    );
    assert!(refused.as_str().is_some_and(|what| !what.is_empty()), "{refused}");
    assert_eq!(page.browser.evaluate("typeof window.ran"), "undefined");
    let elsewhere = page
        .browser
        .evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')");
    assert_eq!(elsewhere, "refused");
    assert!(!page.browser.complaints().is_empty(), "the browser says so");
}

fn everything_is_reached_by_keyboard(page: &mut Page) {
    page.browser
        .evaluate("document.activeElement.blur(); window.scrollTo(0, 0); 0");
    let mut walk = Vec::new();
    for _ in 0..30 {
        page.browser.press("Tab");
        let at = page.browser.evaluate(
            "(() => { const at = document.activeElement;
                const seen = getComputedStyle(at.querySelector?.('rect') ?? at);
                return [at.dataset.node ?? at.id ?? '', at.className.baseVal ?? at.className,
                    seen.outlineStyle !== 'none' || seen.strokeWidth === '2.5px']; })()",
        );
        let [id, class, is_seen] = at.as_array().unwrap().as_slice() else {
            panic!("{at}");
        };
        assert_eq!(is_seen, true, "the focus is seen at {at}");
        walk.push(format!("{} {}", id.as_str().unwrap(), class.as_str().unwrap()));
        if walk.iter().any(|at| at.contains("copy")) {
            break;
        }
    }
    for part in [
        "skip",
        "pause",
        "filter",
        "c web",
        "c mailer",
        "d localhost",
        "copy",
    ] {
        assert!(walk.iter().any(|at| at.contains(part)), "no `{part}`: {walk:#?}");
    }
    // The focus says all about a node, and Enter filters by it.
    page.browser
        .evaluate("document.querySelector('[data-node=\"c web\"]').focus(); 0");
    page.has("#picture-detail", "permitted by");
    page.browser.press("Enter");
    page.browser
        .until("document.querySelector('#filter').value === 'web'");
    page.browser
        .until("document.activeElement.dataset.node === 'c web'");
    page.browser.press("Enter");
    page.browser
        .until("document.querySelector('#filter').value === ''");
    page.complains_of_nothing();
}

fn what_is_shown_can_be_filtered_and_paused(page: &mut Page) {
    let filter = |text: &str| {
        format!(
            "(() => {{ const filter = document.querySelector('#filter'); filter.value = {};
                filter.dispatchEvent(new Event('input')); }})()",
            Value::from(text)
        )
    };
    page.browser.evaluate(&filter("127.0.0.1:22"));
    page.browser
        .until("document.querySelectorAll('#edges tbody tr').length === 1");
    page.browser.evaluate(&filter("nothing has this"));
    page.has("#edges-empty", "Nothing has that in it");
    page.browser.evaluate(&filter(""));
    page.has("#edges", "127.0.0.1:22");
    page.browser
        .evaluate("document.querySelector('#pause').click(); 0");
    page.has("#state-words", "Paused");
    attempt(&page.run, "tcp.connect 127.0.0.1:23");
    // The page stands still, and can be filtered; what comes meanwhile is there when it goes on.
    let second = page.browser.evaluate(
        "new Promise((tell) => setTimeout(() => tell(document.querySelector('#refusals-list').innerText), 1500))",
    );
    assert!(!second.as_str().unwrap().contains("127.0.0.1:23"), "{second}");
    page.browser
        .evaluate("document.querySelector('#pause').click(); 0");
    page.has("#refusals-list", "127.0.0.1:23");
    page.has("#state-words", "Live");
}

fn screen_readers_have_tables(page: &mut Page) {
    let tree = page.browser.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let has = |role: &str, name: &str| {
        nodes.iter().any(|node| {
            node["role"]["value"] == role
                && node["name"]["value"]
                    .as_str()
                    .unwrap_or_default()
                    .starts_with(name)
        })
    };
    for (role, name) in [
        ("banner", ""),
        ("main", ""),
        ("contentinfo", ""),
        ("heading", "Who talks to what"),
        ("region", "Refusals"),
        ("table", "Destinations"),
        ("columnheader", "Decided by"),
        ("table", "Components"),
        ("searchbox", "Show only"),
        ("button", "Pause"),
        ("button", "Copy option"),
        ("button", "web"),
        ("status", ""),
    ] {
        assert!(has(role, name), "no {role} `{name}`");
    }
}

fn it_is_readable_narrow_and_dark(page: &mut Page) {
    for (width, colours) in [(1280, "light"), (360, "light"), (360, "dark"), (768, "dark")] {
        page.browser.look((width, 800), colours);
        page.browser.until(&format!("window.innerWidth === {width}"));
        page.browser
            .until("document.querySelector('#picture svg').clientWidth <= document.querySelector('#picture').clientWidth + 1");
        let scrolls = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
        page.browser.until(scrolls);
        // Contrast of text as WCAG 2.2 has it, 4.5 to 1 at least, wherever there is text of its own.
        let faint = page.browser.evaluate(FAINT);
        assert_eq!(faint, json!([]), "{width} {colours}");
    }
    page.complains_of_nothing();
}

/// Texts whose contrast with what is behind them is too low.
const FAINT: &str = r"
(() => {
  const parse = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => {
    const part = (value) => { const s = value / 255; return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = at.matches('g.node') ? parse(getComputedStyle(at.querySelector('rect')).fill) : parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const node of document.querySelectorAll('main *, header *, footer *')) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || node.closest('title') || !node.getClientRects().length) continue;
    const style = getComputedStyle(node);
    const colour = parse(node instanceof SVGElement ? style.fill : style.color);
    const [one, other] = [light(colour), light(behind(node))].sort((a, b) => b - a);
    if ((one + 0.05) / (other + 0.05) < 4.5) faint.push([node.tagName, node.className.baseVal ?? node.className, node.textContent.slice(0, 30)]);
  }
  return faint;
})()";

fn it_says_when_the_process_is_gone(page: Page) {
    let Page { mut browser, run, .. } = page;
    run.stop();
    browser.until("document.querySelector('#state-words').innerText.includes('Connection lost')");
    browser.until("document.querySelector('#announcements').textContent.includes('Connection lost')");
}

/// The folder of the pictures of the documentation.
fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/dashboard")
}

#[test]
fn the_pictures_of_the_documentation_are_there_and_small() {
    const PICTURES: [&str; 3] = ["light.png", "dark.png", "narrow.png"];
    if std::env::var_os("UPDATE_SCREENSHOTS").is_some() {
        take_pictures();
    }
    for name in PICTURES {
        let size = pictures().join(name).metadata().map_or(0, |file| file.len());
        assert!((1_000..=150 * 1024).contains(&size), "{name}: {size} bytes");
    }
}

/// An app that does what apps do.
const SHOP: &str = r#"
spin_manifest_version = 2
[application]
name = "shop"

[[trigger.http]]
route = "/..."
component = "web"
[[trigger.http]]
route = "/work/..."
component = "worker"
[[trigger.http]]
route = "/mail/..."
component = "mailer"

[component.web]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["*://db.example.com:5432", "http://api.example.com:8080"]
[component.worker]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["*://db.example.com:5432", "*://cache.example.com:6379"]
[component.mailer]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["*://smtp.example.com:2525"]
"#;

/// Makes them anew. The ports are those that such servers have, at addresses of this machine that nobody uses.
fn take_pictures() {
    let mut browser = Browser::start().expect("chromium, to take pictures with");
    let at = |last: u8| Ipv4Addr::new(127, 0, 20, last);
    let _db = TcpPeer::start_on((at(9), 5432), Manner::Echo);
    let _cache = TcpPeer::start_on((at(12), 6379), Manner::Echo);
    let _api = Origin::start_on((at(7), 8080), &"an answer ".repeat(900), Closing::Always);
    let dns = DnsServer::start();
    for (name, last) in [("db", 9), ("api", 7), ("cache", 12), ("smtp", 25)] {
        let address = at(last).to_string();
        dns.answers(
            &format!("{name}.example.com"),
            [Reply::addresses([address.as_str()])],
        );
    }
    let run = Outport::up(SHOP)
        .options(["--dashboard", "--allow-loopback-answers"])
        .deny("*://tracker.example.com:*")
        .dns(&dns)
        .start();
    let post = |path: &str, script: &str| http::post(run.address(), path, script).unwrap();
    let talk = |name: &str, last: u8, port: u16| {
        let text = "x".repeat(700);
        format!(
            "dns.lookup {name}.example.com; tcp.connect {}:{port} as {name}; tcp.send {name} {text}; tcp.recv {name}; ",
            at(last)
        )
    };
    for _ in 0..14 {
        let request = "http.text GET http://api.example.com:8080/";
        post("/", &format!("{}{request}", talk("db", 9, 5432)));
        post("/work/", &talk("cache", 12, 6379).repeat(4));
    }
    post(
        "/mail/",
        &format!("dns.lookup smtp.example.com; tcp.connect {}:2525", at(25)),
    );
    post(
        "/",
        "http GET https://tracker.example.com/; tcp.connect 127.0.0.1:22; http GET https://fonts.example.net/",
    );
    let waiting = format!(
        "{}{}tcp.recv db 20000",
        talk("db", 9, 5432),
        talk("cache", 12, 6379)
    );
    thread::scope(|scope| {
        scope.spawn(|| post("/work/", &waiting));
        let (page, path) = dashboard(&run);
        for (name, size, colours, height) in [
            ("light.png", (1080, 900), "light", 1020),
            ("dark.png", (1080, 900), "dark", 1020),
            ("narrow.png", (360, 800), "light", 1500),
        ] {
            browser.look(size, colours);
            browser.open(&format!("http://{page}{path}"));
            browser.until("document.querySelectorAll('#grants tbody tr').length >= 2");
            browser.until("document.querySelectorAll('#refusals-list li').length >= 3");
            browser.until("document.querySelectorAll('.curve').length >= 7");
            browser.screenshot(&pictures().join(name), (size.0, height));
        }
    });
}
