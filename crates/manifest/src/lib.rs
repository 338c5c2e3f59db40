//! The files that say how an app runs: `spin.toml` (manifest version 2) and the runtime config file.
//!
//! Text becomes refined types here, once, and every value keeps its place in the file. A reader never stops at the
//! first mistake: what comes of it is a [`Reading`], with all [`Problem`]s and [`Note`]s in the order of the file.
//!
//! What Spin would reject is a problem. What Spin knows and Outport does not act on is accepted and named in a note.
//!
//! ```
//! use outport_manifest::{GivenVariables, Manifest, ResolvedApp, SourceFile};
//!
//! let file = SourceFile::new(
//!     "spin.toml",
//!     r#"
//!     spin_manifest_version = 2
//!     application.name = "shop"
//!     variables.db = { default = "db.example.com" }
//!
//!     [[trigger.http]]
//!     route = "/..."
//!     component = "cart"
//!
//!     [component.cart]
//!     source = "cart.wasm"
//!     allowed_outbound_hosts = ["*://{{ db }}:5432"]
//!     "#,
//! );
//! let given = GivenVariables::default();
//! let (app, _notes) = ResolvedApp::resolve(Manifest::parse(&file), &given).complete()?;
//! let (cart, entries) = app.components().next().expect("one component");
//! assert_eq!(cart.id.value.as_str(), "cart");
//! assert_eq!(entries[0].text(), "*://db.example.com:5432");
//! # Ok::<(), outport_manifest::Problems>(())
//! ```

mod allowed_http_hosts;
mod application;
mod client_tls;
mod component;
mod component_source;
mod dependency;
mod dependency_error;
mod dependency_name;
mod dns_server;
mod dotenv;
mod entries;
mod fields;
mod filled_in;
mod findings;
mod identifier;
mod manifest;
mod mistake;
mod mount;
mod operator;
mod other_tools;
mod problem;
mod remark;
mod resolved;
mod route;
mod runtime_config;
mod severity;
mod source;
mod source_error;
mod spelling;
mod syntax;
mod template;
mod template_error;
mod trigger;
mod variable;
mod variable_file;
mod variable_text;
mod variable_value;
mod variables;

pub use application::Application;
pub use client_tls::{ClientCertificate, ClientTls, TrustedRoots};
pub use component::Component;
pub use component_source::{Digest, Source};
pub use dependency::{Dependencies, Dependency, Implementation, Inheritance, InheritedKey};
pub use dependency_error::DependencyError;
pub use dependency_name::DependencyName;
pub use dns_server::{DNS_PORT, DnsServer, DnsServerError};
pub use entries::OutboundEntry;
pub use filled_in::FilledIn;
pub use identifier::{ComponentId, IdentifierError};
pub use manifest::Manifest;
pub use mistake::Mistake;
pub use mount::Mount;
pub use other_tools::Build;
pub use problem::{Area, Code, Note, Problem, Problems, Reading};
pub use remark::Remark;
pub use resolved::{AppReading, ResolvedApp};
pub use route::{PathRoute, Route, RouteError, RouteForm, Segment, Tail, serving};
pub use runtime_config::{OutboundHttp, OutboundNetworking, RuntimeConfig};
pub use severity::Severity;
pub use source::{Located, SourceFile, Span};
pub use source_error::SourceError;
pub use spelling::nearest;
pub use template::{Template, TemplateError};
pub use template_error::TemplateSyntaxError;
pub use trigger::{CommandTrigger, HttpTrigger};
pub use variable::{Fallback, VariableDeclaration, VariableName, VariableNameError};
pub use variable_file::{VariableArgument, VariableArgumentError, VariableFileFormat};
pub use variable_text::VariableText;
pub use variable_value::{Origin, VariableValue};
pub use variables::{GivenVariables, Variables};
