//! Limits on what a guest, and the clients of a server, may use up.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use outport_runtime::http::ServerLimits;
use outport_runtime::limits::{GuestLimits, Reuse};
use outport_runtime::memory_ceiling::MemoryCeiling;

use crate::numbers::{
    Size, Time, Total, at_least_one, bounded_client, bounded_idle, memory, number, total, working_time,
};

/// Limits of every guest.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitOptions {
    /// Memory of one instance, such as `64M` or `2G` [default: 512M]
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    max_memory: Option<Size>,

    /// Memory of all instances together, such as `4G`, or `none` [default: three quarters of the machine's]
    #[arg(long, value_name = "SIZE", value_parser = total)]
    max_memory_total: Option<Total>,

    /// Processor time of one instance, such as `500ms`, `10s`, `5m` or `none` [default: none; answering a request 30s]
    #[arg(long, value_name = "TIME", value_parser = working_time)]
    max_cpu_time: Option<Time>,

    /// Time that one instance may live [default: none; answering a request 10m]
    #[arg(long, value_name = "TIME", value_parser = working_time)]
    max_time: Option<Time>,
}

/// Limits of a server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct ServerLimitOptions {
    /// Time for a guest to begin its response
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = working_time)]
    response_timeout: Time,

    /// Requests that are answered at a time; further ones wait
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = number(1, 10_000))]
    max_requests: u32,

    /// Requests that one instance of WASI 0.3 answers in its life; 1 is a fresh one for each, as on WASI 0.2
    #[arg(long, value_name = "N", default_value_t = Reuse::default().requests, value_parser = at_least_one)]
    max_instance_reuse_count: NonZeroU32,

    /// Requests that one instance of WASI 0.3 answers at a time
    #[arg(long, value_name = "N", default_value_t = Reuse::default().concurrency, value_parser = at_least_one)]
    max_instance_concurrent_reuse_count: NonZeroU32,

    /// Time that an instance of WASI 0.3 waits for a further request before it ends; `0s` ends it at once
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = bounded_idle)]
    idle_instance_timeout: Duration,

    /// Connections of clients at a time; further ones wait. Never more than there are descriptors for
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = number(1, u32::MAX))]
    max_connections: u32,

    /// Connections of one client (an IPv4 address, a /64 of IPv6) at a time; further ones are closed [default: half of
    /// all]
    #[arg(long, value_name = "N", value_parser = number(1, u32::MAX))]
    max_connections_per_client: Option<u32>,

    /// Time for which a client may stop sending a body or reading a response, and leave a connection of HTTP/2 idle
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = bounded_client)]
    client_timeout: Duration,

    /// Threads that answer requests [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = number(1, 1024))]
    workers: Option<u32>,

    /// Time that running requests get after Ctrl-C; `none` waits for all of them
    #[arg(long, value_name = "TIME", default_value = "10s")]
    grace: Time,
}

impl LimitOptions {
    /// For a command.
    pub(crate) fn of_a_command(&self) -> GuestLimits {
        self.over(GuestLimits::of_a_command())
    }

    /// For a guest that answers a request.
    pub(crate) fn of_a_request(&self, server: &ServerLimitOptions) -> GuestLimits {
        let mut limits = self.over(GuestLimits::of_a_request());
        limits.response_timeout = server.response_timeout.0;
        limits.reuse = server.reuse();
        limits
    }

    /// For all guests together.
    pub(crate) fn of_all(&self) -> MemoryCeiling {
        match self.max_memory_total {
            None => MemoryCeiling::of_the_machine(),
            Some(Total::None) => MemoryCeiling::none(),
            Some(Total::Of(Size(bytes))) => MemoryCeiling::of(bytes),
        }
    }

    fn over(&self, mut limits: GuestLimits) -> GuestLimits {
        limits.memory = self.max_memory.map_or(DEFAULT_MEMORY, |Size(bytes)| bytes);
        if let Some(Time(cpu_time)) = self.max_cpu_time {
            limits.cpu_time = cpu_time;
        }
        if let Some(Time(max_time)) = self.max_time {
            limits.max_time = max_time;
        }
        limits
    }
}

/// Bytes of memory of one instance.
const DEFAULT_MEMORY: usize = 512 << 20;

impl ServerLimitOptions {
    /// Instances that live at a time.
    pub(crate) fn instances(&self) -> u32 {
        self.max_requests
    }

    fn reuse(&self) -> Reuse {
        Reuse {
            requests: self.max_instance_reuse_count,
            concurrency: self.max_instance_concurrent_reuse_count,
            idle_timeout: self.idle_instance_timeout,
        }
    }

    /// Worker threads.
    pub(crate) fn workers(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        self.workers.map_or_else(processors, |workers| {
            usize::try_from(workers).unwrap_or(usize::MAX)
        })
    }

    /// The bounds on what clients may take up, as they were asked for.
    pub(crate) fn server(&self) -> ServerLimits {
        let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let mut limits = ServerLimits::default();
        limits.connections = number(self.max_connections);
        limits.connections_per_client = self.max_connections_per_client.map(number);
        limits.client_timeout = self.client_timeout;
        limits.grace = self.grace.0.unwrap_or(Duration::MAX);
        limits
    }
}
