//! The files that say how an app runs: `spin.toml` (manifest version 2), the runtime config file, and a file with a key for
//! each option.
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

mod manifest;
mod options_file;
mod parts;
mod reading;
mod report;
mod resolved;
mod runtime_config;
mod source;
mod state_dir;
mod stores;
mod syntax;
mod template;
mod values;
mod variables;

pub use manifest::Manifest;
pub use options_file::{OptionsFile, WrittenOption, WrittenValue};
pub use parts::Part;
pub use reading::application::Application;
pub use reading::brokers::BrokerSettings;
pub use reading::byte_budget::ByteLimits;
pub use reading::client_tls::{ClientCertificate, ClientTls, TrustedRoots};
pub use reading::component::Component;
pub use reading::component_limits::{ComponentLimits, MOST_NAMES};
pub use reading::component_source::{Digest, Remote, Source, shown_url};
pub use reading::definitions::{Database, Definition, KeyValueBackend, ModelApi, ModelServer, SqliteBackend};
pub use reading::dependency::{Dependencies, Dependency, Implementation, Inheritance, InheritedKey};
pub use reading::entries::OutboundEntry;
pub use reading::executor::{Executor, WagiArguments};
pub use reading::middleware::Middleware;
pub use reading::mount::Mount;
pub use reading::other_tools::Build;
pub use reading::package_request::{PackageRequest, VersionRange};
pub use reading::static_response::StaticResponse;
pub use reading::trigger::cron::CronSchedule;
pub use reading::trigger::event::{EventKind, EventSource, EventTrigger};
pub use reading::trigger::mqtt::{MqttServer, MqttTopic, Qos};
pub use reading::trigger::redis::RedisChannel;
pub use reading::trigger::sqs::SqsQueue;
pub use reading::trigger::{CommandTrigger, HttpAnswer, HttpTrigger};
pub use reading::variable_file::{VariableArgument, VariableArgumentError, VariableFileFormat};
pub use report::mistake::Mistake;
pub use report::problem::{Area, Code, Note, Problem, Problems, Reading};
pub use report::remark::Remark;
pub use report::severity::Severity;
pub use report::spelling::nearest;
pub use resolved::{AppReading, ResolvedApp};
pub use runtime_config::{ClientConnections, OutboundHttp, OutboundNetworking, RuntimeConfig};
pub use source::{Located, SourceFile, Span};
pub use state_dir::StateDir;
pub use stores::{DEFAULT_LABEL, Models, Store, Stores};
pub use template::{Template, TemplateError};
pub use values::byte_limits::{ByteLimitError, ByteRate, SentLimit};
pub use values::cron_expression::{CronExpression, CronExpressionError};
pub use values::dependency_error::DependencyError;
pub use values::dependency_name::DependencyName;
pub use values::dns_server::{DNS_PORT, DnsServer, DnsServerError};
pub use values::filled_in::FilledIn;
pub use values::identifier::{ComponentId, IdentifierError, parse_label};
pub use values::route::{PathRoute, Route, RouteError, RouteForm, Segment, Tail, serving};
pub use values::secret::Secret;
pub use values::server_url::{ServerUrl, ServerUrlError};
pub use values::service::Service;
pub use values::source_error::SourceError;
pub use values::template_error::TemplateSyntaxError;
pub use values::units::{bytes_of_unit, split_unit, time_of_unit};
pub use values::variable::{Fallback, VariableDeclaration, VariableName, VariableNameError};
pub use values::variable_text::VariableText;
pub use values::variable_value::{Origin, VariableValue};
pub use variables::{GivenVariables, Variables};
