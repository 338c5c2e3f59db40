//! `outport trigger`: one event by hand, without the broker, queue or clock that it would come from.
//!
//! The component runs as with `up`: with the app's policy and the operator's, within the same limits, and with the app's
//! other components for those that it calls. It needs no trigger in the manifest.

mod given;

use std::sync::Arc;

use clap::{Args, Subcommand};
use outport_manifest::{ComponentId, EventKind, IdentifierError};
use outport_runtime::engine::Allocation;
use outport_runtime::http::Router;
use outport_runtime::stdio::WhenFull;
use outport_runtime::triggers::{Brokers, Event, EventError, Handled, SqsAttribute, SqsMessage, SqsValue};

use self::given::{Attribute, Payload, Topic, now};
use super::{TRAPPED, up};
use crate::app_options::AppOptions;
use crate::app_problem::check_component;
use crate::author_options::Variable;
use crate::failure::Failure;
use crate::files::Files;
use crate::limit_options::LimitOptions;
use crate::operator_options::OperatorOptions;
use crate::service::ServiceOptions;
use crate::startup::{Needs, Startup};
use crate::terminal::Terminal;

/// Hand one event to a component of an app, by hand.
///
/// The exit status is 0 if it was handled, 1 if the handler returned an error, and 134 if it trapped or ran out of time; of
/// a command it is its own.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// A time of the clock
    Cron(CronOptions),
    /// A message on a channel of Redis
    Redis(RedisOptions),
    /// A message on a topic of MQTT
    Mqtt(MqttOptions),
    /// A message of a queue of SQS
    Sqs(SqsOptions),
    /// The start of a command
    Command(CommandOptions),
}

#[derive(Debug, Args)]
struct CronOptions {
    #[command(flatten)]
    common: Common,

    /// The time that the component is told: seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    timestamp: Option<u64>,
}

#[derive(Debug, Args)]
struct RedisOptions {
    #[command(flatten)]
    common: Common,

    /// The message: a text, the content of a file, or what comes by standard input
    #[arg(long, value_name = "TEXT|@FILE|-", default_value = "")]
    payload: Payload,
}

#[derive(Debug, Args)]
struct MqttOptions {
    #[command(flatten)]
    common: Common,

    /// The topic that the message is on
    #[arg(long, value_name = "TOPIC")]
    topic: Topic,

    /// The message: a text, the content of a file, or what comes by standard input
    #[arg(long, value_name = "TEXT|@FILE|-", default_value = "")]
    payload: Payload,
}

#[derive(Debug, Args)]
struct SqsOptions {
    #[command(flatten)]
    common: Common,

    /// The text of the message
    #[arg(long, value_name = "TEXT|@FILE|-", default_value = "")]
    body: Payload,

    /// An attribute of the message; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    attribute: Vec<Attribute>,
}

#[derive(Debug, Args)]
struct CommandOptions {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// The component
    #[arg(value_name = "COMPONENT", value_parser = component_id)]
    component: ComponentId,

    #[command(flatten)]
    app: AppOptions,

    /// Set an environment variable of every component; without `=VALUE` the host's own value is passed on
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<Variable>,

    /// Print the components' output as it is, without `[COMPONENT]` before each line
    #[arg(long)]
    no_output_prefix: bool,

    #[command(flatten)]
    operator: OperatorOptions,

    #[command(flatten)]
    limits: LimitOptions,
}

/// What the component is started for.
enum Cause {
    Event(EventKind, Event),
    Start,
}

pub(super) fn trigger(options: Options, terminal: Terminal) -> Result<i32, Failure> {
    let (common, cause) = options.kind.cause()?;
    let up = up::Options::by_hand(
        common.app,
        (common.env, common.no_output_prefix),
        ServiceOptions::defaults()?,
        common.operator,
        common.limits,
    );
    let id = common.component;
    run(&up, &id, cause, terminal)
}

fn run(up: &up::Options, id: &ComponentId, cause: Cause, terminal: Terminal) -> Result<i32, Failure> {
    let (mut startup, mut remarks) = (Startup::begin(up.operator(), terminal)?, Vec::new());
    let app_options = up
        .app_options()
        .clone()
        .pulled(&up.operator().loading, terminal)?;
    let written = app_options.read(&mut startup.files, &mut remarks)?;
    check_component(id, &written.manifest)?;
    terminal.show_all(&remarks, &startup.files);
    let state = up.state(&written.manifest, &app_options, &startup)?;
    let stores = state.directories()?;
    let fetched = up.fetch(&written.manifest, &app_options, &mut startup)?;
    let ready = startup
        .enter_sandbox(Needs {
            directories: &up.copies(&written.manifest),
            stores: &stores,
            serves: false,
            admin: None,
            dashboard: None,
            app: Some(&written.manifest.application.name.value),
            allocation: Allocation::Single,
            memory: up.memory(),
            when_full: WhenFull::Wait,
            tell: Terminal::mention,
        })?
        .open_network()?;
    let platform = state.platform(ready.network.egress())?;
    let kind = match &cause {
        Cause::Event(kind, _) => Some(*kind),
        Cause::Start => None,
    };
    let mut app = up.build(
        &written,
        (&platform, &Brokers::default(), &fetched),
        &ready,
        Some((id, kind)),
    )?;
    let command = app
        .commands
        .iter()
        .position(|command| command.guest().name() == id.as_str());
    ready.run(&[], async |mut signals, network| {
        state.fill(&platform).await?;
        network.telemetry().ready("Running");
        let _files = app.files;
        let router = Router::new(app.router, INSTANCES)
            .with_callees(app.callees)
            .with_event_components(app.by_hand.clone());
        let router = Arc::new(router);
        router.answer_calls_from(&app.gates);
        let run = async {
            match (cause, app.by_hand, command) {
                (Cause::Event(_, event), Some(handler), _) => {
                    status(router.hand_over(&handler, event).await, terminal)
                }
                (_, _, Some(number)) => up::status(app.commands.swap_remove(number).run().await, terminal),
                _ => unreachable!("INVARIANT: it was built for an event, or is a command"),
            }
        };
        let status = tokio::select! {
            biased;
            status = run => {
                network.egress().flush();
                signals.unless_written().await.unwrap_or(status)
            }
            status = signals.next() => status,
        };
        signals.end_at_once();
        Ok(status)
    })
}

fn status(outcome: Result<Handled, EventError>, terminal: Terminal) -> i32 {
    match outcome {
        Ok(Handled::Done) => 0,
        Ok(Handled::Leave) => {
            terminal.say("The message would stay in its queue");
            0
        }
        Err(error) => {
            let told = if terminal.is_verbose() {
                format!("{error:#}")
            } else {
                error.to_string()
            };
            terminal.show(&outport_check::Diagnostic::error(told), &Files::default());
            match error {
                EventError::Answer { .. } => 1,
                _ => TRAPPED,
            }
        }
    }
}

impl Kind {
    fn cause(self) -> Result<(Common, Cause), Failure> {
        Ok(match self {
            Self::Cron(options) => {
                let timestamp = options.timestamp.unwrap_or_else(now);
                (options.common, event(Event::Cron { timestamp }))
            }
            Self::Redis(options) => {
                let payload = options.payload.read("--payload")?;
                (options.common, event(Event::Redis { payload }))
            }
            Self::Mqtt(options) => {
                let (payload, topic) = (options.payload.read("--payload")?, options.topic.0);
                (options.common, event(Event::Mqtt { payload, topic }))
            }
            Self::Sqs(options) => {
                let body = options.body.read_text("--body")?;
                let attributes = options.attribute.into_iter();
                let attributes = attributes.map(|Attribute { name, value }| SqsAttribute {
                    name,
                    data_type: Some("String".to_owned()),
                    value: SqsValue::Text(value),
                });
                let message = SqsMessage {
                    id: Some("by-hand".to_owned()),
                    attributes: attributes.collect(),
                    body: Some(body),
                };
                (options.common, event(Event::Sqs(message)))
            }
            Self::Command(options) => (options.common, Cause::Start),
        })
    }
}

fn event(event: Event) -> Cause {
    Cause::Event(event.kind(), event)
}

fn component_id(text: &str) -> Result<ComponentId, IdentifierError> {
    ComponentId::parse(text)
}

/// Instances that may live at a time: the one, and those that it calls.
const INSTANCES: u32 = 64;
