//! Limits on getting a component ready, before any guest runs (ISO-7).

use std::path::PathBuf;

use clap::Args;
use outport_runtime::cache::CacheDirectory;
use outport_runtime::compiler::{CompileLimit, CompileLimits};
use outport_runtime::files::DEFAULT_BYTES;

use crate::numbers::{Size, Time, Total, total, working_time};

/// Limits of loading.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoadOptions {
    /// Processor time to compile one component, such as `60s`, or `none` [default: 30s, and 10s for each MiB of it]
    #[arg(long, value_name = "TIME", value_parser = working_time)]
    max_compile_time: Option<Time>,

    /// Memory to compile one component, such as `2G`, or `none` [default: 512M, and 64M for each MiB of it]
    #[arg(long, value_name = "SIZE", value_parser = total)]
    max_compile_memory: Option<Total>,

    /// Files that are copied for one component, together [default: 4G]
    #[arg(long, value_name = "SIZE")]
    max_files_size: Option<Size>,

    /// Keep compiled code, copies of files and what was fetched here [default: what `CACHE_DIRECTORY`, `XDG_CACHE_HOME` or `HOME` names]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

impl LoadOptions {
    /// Bytes of the files of one component.
    pub(crate) fn files(&self) -> u64 {
        self.max_files_size
            .map_or(DEFAULT_BYTES, |Size(bytes)| bytes as u64)
    }

    /// The directory where the process keeps what it can make again.
    pub(crate) fn cache(&self) -> CacheDirectory {
        let chosen = self
            .cache_dir
            .as_deref()
            .filter(|chosen| !chosen.as_os_str().is_empty());
        CacheDirectory::of_the_environment(chosen)
    }

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
