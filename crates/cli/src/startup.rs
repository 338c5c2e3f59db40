//! The start that `run`, `serve` and `up` share: the way from options to guests that run.
//!
//! ```text
//! options ─► Startup ─────────────► Inside ──────────────────► Ready ─────────────► guests, until all is over
//!            settings, files,       in the kernel's sandbox:   network: policy,     sealed: what only a start
//!            SIGHUP is noted        engine, which compiles     resolver, sinks      needs is given up
//! ```

use std::path::{Path, PathBuf};

use outport_policy::Entry;
use outport_runtime::engine::{Allocation, Engine};
use outport_runtime::guest_env::Directory;
use outport_runtime::memory_ceiling::MemoryCeiling;
use outport_runtime::stdio::{self, WhenFull};
use outport_telemetry::dashboard::DashboardListener;
use tokio::runtime::Runtime;

use crate::asking::{AskOptions, Prepared};
use crate::audit_output::AuditOutput;
use crate::dashboard;
use crate::failure::Failure;
use crate::files::Files;
use crate::kernel_sandbox::{Held, Inside as Sandboxed};
use crate::learner;
use crate::network::Network;
use crate::operator_options::{OperatorOptions, OperatorSettings};
use crate::service_manager::ServiceManager;
use crate::signals::{HangUps, StopSignals};
use crate::telemetry::{HandedAdmin, Telemetry};
use crate::terminal::Terminal;

/// A process that has read what its operator wants.
pub(crate) struct Startup<'o> {
    options: &'o OperatorOptions,
    pub(crate) terminal: Terminal,
    runtime: Runtime,
    hang_ups: HangUps,
    manager: ServiceManager,
    /// The files that were read so far.
    pub(crate) files: Files,
    pub(crate) settings: OperatorSettings,
    asking: Option<Prepared>,
}

/// The needs that the guests of a command have of the process.
pub(crate) struct Needs<'d> {
    /// The directories that they may write to.
    pub(crate) directories: &'d [Directory],
    /// Where stores are, which only the process itself writes to.
    pub(crate) stores: &'d [PathBuf],
    /// True if clients are listened to.
    pub(crate) serves: bool,
    /// The admin listener, if somebody else opened it.
    pub(crate) admin: Option<HandedAdmin>,
    /// Where a browser will connect to, if there is to be a live page.
    pub(crate) dashboard: Option<DashboardListener>,
    /// The name of their app, if it has one.
    pub(crate) app: Option<&'d str>,
    pub(crate) allocation: Allocation,
    /// Memory for all of them together.
    pub(crate) memory: MemoryCeiling,
    /// The treatment of output that nobody reads.
    pub(crate) when_full: WhenFull,
    /// Says what the kernel holds.
    pub(crate) tell: fn(Terminal, &str),
}

/// A process in the kernel's sandbox, which can compile.
pub(crate) struct Inside<'o> {
    startup: Startup<'o>,
    pub(crate) engine: Engine,
    audit: Option<AuditOutput>,
    telemetry: Telemetry,
    held: Held,
}

/// A process with its network in force, to which guests can be linked.
pub(crate) struct Ready<'o> {
    pub(crate) startup: Startup<'o>,
    pub(crate) engine: Engine,
    pub(crate) network: Network,
    held: Held,
}

impl<'o> Startup<'o> {
    /// Reads the operator's settings.
    pub(crate) fn begin(options: &'o OperatorOptions, terminal: Terminal) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let hang_ups = HangUps::note(&runtime)?;
        let manager = ServiceManager::connect(terminal);
        let mut files = Files::default();
        let settings = options.read(&mut files)?;
        Ok(Startup {
            options,
            terminal,
            runtime,
            hang_ups,
            manager,
            files,
            settings,
            asking: None,
        })
    }

    /// The author's entries as they are in force: while they are learnt, anything besides.
    pub(crate) fn in_force(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        if self.options.learner.is_some() {
            entries.extend(learner::any_host());
        }
        entries
    }

    /// Has somebody asked at the terminal about what only the author's list refuses, if that is wanted. Entries are written
    /// to `manifest`, where there is one. Must be called while the process has one thread.
    pub(crate) fn ask(&mut self, options: &AskOptions, manifest: Option<&Path>) -> Result<(), Failure> {
        self.asking = options.prepare(manifest)?;
        Ok(())
    }

    /// Has several components share the questions that may be asked.
    pub(crate) fn share_questions(&mut self) {
        if let Some(asking) = &mut self.asking {
            asking.shared();
        }
    }

    /// Gives up what no guest needs. Must be called while the process has one thread; it may have more afterwards.
    pub(crate) fn enter_sandbox(self, needs: Needs<'_>) -> Result<Inside<'o>, Failure> {
        let Sandboxed {
            code,
            audit,
            telemetry,
            held,
        } = self.options.enter_sandbox(
            (needs.directories, needs.stores),
            (needs.serves, needs.admin),
            self.terminal,
            needs.tell,
        )?;
        stdio::open(needs.when_full)?;
        let manager = self.manager.clone();
        let bounds = dashboard::bounds(needs.allocation, &needs.memory);
        let dashboard = needs.dashboard.map(|listener| (listener, bounds));
        let telemetry = Telemetry::start((telemetry, dashboard), needs.app, manager, self.terminal)?;
        let engine = Engine::new(needs.allocation)?
            .under(needs.memory)
            .with_code(code.counted(&telemetry.meter()));
        Ok(Inside {
            startup: self,
            engine,
            audit,
            telemetry,
            held,
        })
    }
}

impl<'o> Inside<'o> {
    /// Puts the operator's settings in force.
    pub(crate) fn open_network(mut self) -> Result<Ready<'o>, Failure> {
        let asking = self.startup.asking.take();
        let Startup {
            options,
            settings,
            files,
            terminal,
            ..
        } = &self.startup;
        let asking = asking.map(|asking| asking.start(*terminal)).transpose()?;
        let outputs = (self.audit, self.telemetry, asking);
        let network = Network::open(options, settings, files, outputs, *terminal)?;
        Ok(Ready {
            startup: self.startup,
            engine: self.engine,
            network,
            held: self.held,
        })
    }
}

impl Ready<'_> {
    /// Gives up what only a start needs, and runs the guests, which may write to `directories`. What they leave behind
    /// is not waited for.
    pub(crate) fn run(
        self,
        directories: &[Directory],
        guests: impl AsyncFnOnce(StopSignals, &Network) -> Result<i32, Failure>,
    ) -> Result<i32, Failure> {
        let Ready {
            startup,
            engine,
            network,
            held,
        } = self;
        engine.end_compiling();
        held.seal(directories)?;
        let telemetry = network.telemetry();
        telemetry.readiness().guests_prepared();
        let outcome = startup.runtime.block_on(async {
            let signals = StopSignals::listen(startup.hang_ups, network.reload(), telemetry)?;
            let signals = signals.ending_questions(network.asking());
            guests(signals, &network).await
        });
        startup.runtime.shutdown_background();
        outcome
    }
}
