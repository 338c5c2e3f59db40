//! A sink of the host's own, which is told of denials, and the host's words for its settings.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use outport_egress::{AuditEvent, AuditSink, Destination, Egress, Verdict};
use outport_policy::{AllowList, RemedyWords, Scheme, Setting};

/// Keeps what a person is to see.
#[derive(Default)]
struct Page(Mutex<Vec<String>>);

impl AuditSink for Page {
    fn wants(&self, verdict: Verdict) -> bool {
        verdict == Verdict::Deny
    }

    // Called where the guest runs: it takes the event and returns.
    fn record(&self, event: &AuditEvent) {
        self.0.lock().unwrap().push(event.to_string());
    }
}

/// What this host calls the settings of the gate.
struct Words;

impl RemedyWords for Words {
    fn name(&self, setting: Setting) -> Cow<'static, str> {
        match setting {
            Setting::AllowList => "`egress` in plugin.json".into(),
            Setting::LoopbackPort(port) => format!("`allow_loopback = [{port}]` in host.toml").into(),
            other => other.neutral(),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let page = Arc::new(Page::default());
    let egress = Egress::builder().sink(page.clone()).remedies(Words).build()?;
    let instance = egress
        .gate("shop", AllowList::parse(["redis://192.0.2.1"])?.into())
        .open();

    let redis = Scheme::parse("redis").ok_or("no scheme")?;
    for (host, port) in [("192.0.2.2", 6379), ("127.0.0.1", 22)] {
        let refused = instance
            .dialer()
            .connect(&Destination::new(redis.clone(), host, port)?)
            .await;
        assert!(refused.is_err_and(|error| error.is_refused()));
    }

    let seen = page.0.lock().unwrap();
    assert_eq!(
        seen[0],
        "denied: component `shop` redis redis://192.0.2.2:6379 [allow.no-match] no entry of the allow list covers this; \
         add \"redis://192.0.2.2\" to `egress` in plugin.json"
    );
    assert!(
        seen[1].contains("the operator can lift this with `allow_loopback = [22]` in host.toml"),
        "{}",
        seen[1]
    );
    Ok(())
}
