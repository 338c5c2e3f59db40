//! Certificates for outgoing TLS: `[[client_tls]]` of the runtime config file, as Spin has it.

use crate::reading::dependency::read_component_id;
use crate::reading::fields::{Fields, Node};
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::source::{Located, Span};
use crate::values::identifier::ComponentId;

/// The TLS settings of some components towards some hosts. Paths are relative to the runtime config file.
#[derive(Debug, Clone)]
pub struct ClientTls {
    /// The components that it is for; at least one.
    pub component_ids: Vec<Located<ComponentId>>,
    /// The hosts that it is for, without ports; at least one.
    pub hosts: Vec<Located<String>>,
    /// The trusted authorities.
    pub roots: TrustedRoots,
    /// The certificate for a server that asks for a client's.
    pub client: Option<ClientCertificate>,
    /// The place where it stands.
    pub span: Span,
}

/// The authorities that may vouch for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedRoots {
    /// Those of the operating system. By default yes, unless one of the other two is chosen.
    pub platform: bool,
    /// Those of Mozilla's list (webpki). By default no.
    pub webpki: bool,
    /// Those in this PEM file (`ca_roots_file`).
    pub file: Option<Located<String>>,
}

/// A client certificate, both files in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate and its chain (`client_cert_file`).
    pub certificates: Located<String>,
    /// Its private key (`client_private_key_file`).
    pub private_key: Located<String>,
}

/// Reads `client_tls`.
pub(crate) fn read_client_tls(found: &mut Findings, node: Node<'_>) -> Vec<ClientTls> {
    let items = node.items(found, "an array of tables");
    items
        .into_iter()
        .filter_map(|item| {
            let fields = item.table(found, "`[[client_tls]]`")?;
            Some(read_one(found, fields))
        })
        .collect()
}

fn read_one(found: &mut Findings, mut fields: Fields<'_>) -> ClientTls {
    let span = fields.span().clone();
    let component_ids = read_filled(found, &mut fields, "component_ids");
    let component_ids = component_ids
        .into_iter()
        .filter_map(|item| read_component_id(found, item))
        .collect();
    let hosts = read_filled(found, &mut fields, "hosts");
    let hosts = hosts
        .into_iter()
        .filter_map(|item| read_host(found, item))
        .collect();
    let platform = fields
        .get("ca_use_platform_roots")
        .and_then(|node| node.boolean(found));
    let webpki = fields
        .get("ca_use_webpki_roots")
        .and_then(|node| node.boolean(found));
    let file = fields
        .get("ca_roots_file")
        .and_then(|node| node.filled_string(found));
    let roots = TrustedRoots {
        platform: platform.map_or(webpki.is_none() && file.is_none(), |platform| platform.value),
        webpki: webpki.is_some_and(|webpki| webpki.value),
        file,
    };
    if !roots.platform && !roots.webpki && roots.file.is_none() {
        let wrong = "leaves no authority to trust".to_owned();
        let help = Some("write `ca_roots_file`, or leave `ca_use_platform_roots` out".to_owned());
        found.report(
            &span,
            Mistake::Value {
                key: "client_tls".into(),
                wrong,
                help,
            },
        );
    }
    let client = read_client_certificate(found, &mut fields);
    fields.finish(found);
    ClientTls {
        component_ids,
        hosts,
        roots,
        client,
        span,
    }
}

/// The items of an array that has to be there and have some.
fn read_filled<'t>(found: &mut Findings, fields: &mut Fields<'t>, key: &'static str) -> Vec<Node<'t>> {
    let Some(node) = fields.require(found, key) else {
        return Vec::new();
    };
    let items = node.items(found, "an array of strings");
    if items.is_empty() && node.is_array() {
        let wrong = "must not be empty".to_owned();
        found.report(
            &node.span(),
            Mistake::Value {
                key: key.into(),
                wrong,
                help: None,
            },
        );
    }
    items
}

fn read_host(found: &mut Findings, node: Node<'_>) -> Option<Located<String>> {
    let host = node.filled_string(found)?;
    let brackets = host.value.starts_with('[') && host.value.ends_with(']');
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | '?' | '#' | '*');
    if host.value.contains(odd) || (host.value.contains(':') && !brackets) {
        let wrong = "takes names and addresses, without scheme, port or wildcard".to_owned();
        found.report(
            &host.span,
            Mistake::Value {
                key: "hosts".into(),
                wrong,
                help: None,
            },
        );
        return None;
    }
    Some(host)
}

fn read_client_certificate(found: &mut Findings, fields: &mut Fields<'_>) -> Option<ClientCertificate> {
    let certificates = fields
        .get("client_cert_file")
        .map(|node| node.filled_string(found));
    let private_key = fields
        .get("client_private_key_file")
        .map(|node| node.filled_string(found));
    match (certificates, private_key) {
        (Some(certificates), Some(private_key)) => Some(ClientCertificate {
            certificates: certificates?,
            private_key: private_key?,
        }),
        (Some(_), None) => fields.require(found, "client_private_key_file").and(None),
        (None, Some(_)) => fields.require(found, "client_cert_file").and(None),
        (None, None) => None,
    }
}
