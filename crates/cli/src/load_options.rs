//! How much it may take to get a component ready, before any guest runs (policy clause ISO-7).

use clap::Args;
use outport_runtime::compiler::{CompileLimit, CompileLimits};

use crate::limit_options::{Size, Time, Total, total};

/// Limits of loading.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoadOptions {
    /// Processor time to compile one component, such as `60s`, or `none` [default: 30s, and 10s for each MiB of it]
    #[arg(long, value_name = "TIME")]
    max_compile_time: Option<Time>,

    /// Memory to compile one component, such as `2G`, or `none` [default: 512M, and 64M for each MiB of it]
    #[arg(long, value_name = "SIZE", value_parser = total)]
    max_compile_memory: Option<Total>,
}

impl LoadOptions {
    pub(crate) fn compiling(&self) -> CompileLimits {
        let mut limits = CompileLimits::default();
        if let Some(Time(time)) = self.max_compile_time {
            limits.time = time.map_or(CompileLimit::None, CompileLimit::Of);
        }
        if let Some(memory) = self.max_compile_memory {
            limits.memory = match memory {
                Total::None => CompileLimit::None,
                Total::Of(Size(bytes)) => CompileLimit::Of(bytes as u64),
            };
        }
        limits
    }
}
