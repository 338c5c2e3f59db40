//! How much a guest, and the visitors of a server, may use up (policy clause Q-3).

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use outport_runtime::http::ServerLimits;
use outport_runtime::limits::{GuestLimits, Reuse};
use outport_runtime::memory_ceiling::MemoryCeiling;

/// Limits of every guest.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitOptions {
    /// Memory of one instance, such as `64M` or `2G`
    #[arg(long, value_name = "SIZE", default_value = "512M")]
    max_memory: Size,

    /// Memory of all instances together, such as `4G`, or `none` [default: three quarters of the machine's]
    #[arg(long, value_name = "SIZE", value_parser = total)]
    max_memory_total: Option<Total>,

    /// Processor time of one instance, such as `500ms`, `10s`, `5m` or `none` [default: none; answering a request 30s]
    #[arg(long, value_name = "TIME")]
    max_cpu_time: Option<Time>,

    /// How long one instance may live [default: none; answering a request 10m]
    #[arg(long, value_name = "TIME")]
    max_time: Option<Time>,
}

/// Limits of a server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct ServerLimitOptions {
    /// How long a guest may take to begin its response
    #[arg(long, value_name = "TIME", default_value = "60s")]
    response_timeout: Time,

    /// Requests that are answered at a time; further ones wait
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_requests: u32,

    /// Requests that one instance of WASI 0.3 answers in its life; 1 is a fresh one for each, as on WASI 0.2
    #[arg(long, value_name = "N", default_value_t = Reuse::default().requests)]
    max_instance_reuse_count: NonZeroU32,

    /// Requests that one instance of WASI 0.3 answers at a time
    #[arg(long, value_name = "N", default_value_t = Reuse::default().at_once)]
    max_instance_concurrent_reuse_count: NonZeroU32,

    /// How long an instance of WASI 0.3 waits for a further request before it ends; `0s` ends it at once
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = bounded_idle)]
    idle_instance_timeout: Duration,

    /// Connections of clients at a time; further ones wait. Never more than there are descriptors for
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,

    /// Connections of one client (an IPv4 address, a /64 of IPv6) at a time; further ones are closed [default: half of all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections_per_client: Option<u32>,

    /// How long a client may stop sending a body or reading a response, and leave a connection of HTTP/2 idle
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = bounded_client)]
    client_timeout: Duration,

    /// Threads that answer requests [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,

    /// How long running requests may go on after Ctrl-C; `none` waits for all of them
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
        limits.answering = server.response_timeout.0;
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
        limits.memory = self.max_memory.0;
        if let Some(Time(computing)) = self.max_cpu_time {
            limits.computing = computing;
        }
        if let Some(Time(living)) = self.max_time {
            limits.living = living;
        }
        limits
    }
}

impl ServerLimitOptions {
    /// Instances that live at a time.
    pub(crate) fn instances(&self) -> u32 {
        self.max_requests
    }

    fn reuse(&self) -> Reuse {
        Reuse {
            requests: self.max_instance_reuse_count,
            at_once: self.max_instance_concurrent_reuse_count,
            idle: self.idle_instance_timeout,
        }
    }

    /// Worker threads.
    pub(crate) fn workers(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        self.workers.map_or_else(processors, usize::from)
    }

    /// What clients may take up, as it was asked for.
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

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let (number, unit) = split_unit(text);
        let factor: usize = match unit {
            "" | "B" => 1,
            "K" | "KiB" => 1 << 10,
            "M" | "MiB" => 1 << 20,
            "G" | "GiB" => 1 << 30,
            _ => return Err("write a number with `K`, `M` or `G`, such as `64M`".into()),
        };
        let number: usize = number
            .parse()
            .map_err(|_| "write a number, such as `64M`".to_owned())?;
        number
            .checked_mul(factor)
            .map(Size)
            .ok_or_else(|| "it is larger than any memory".into())
    }
}

/// Bytes, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Total {
    None,
    Of(Size),
}

pub(crate) fn total(text: &str) -> Result<Total, String> {
    match text {
        "none" => Ok(Total::None),
        text => text.parse().map(Total::Of),
    }
}

/// A time, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Option<Duration>);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Time, String> {
        if text == "none" {
            return Ok(Time(None));
        }
        let (number, unit) = split_unit(text);
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            _ => return Err("write a number with `ms`, `s`, `m` or `h`, such as `10s`, or `none`".into()),
        };
        let number: u32 = number
            .parse()
            .map_err(|_| "write a number, such as `10s`".to_owned())?;
        Ok(Time(Some(unit.saturating_mul(number))))
    }
}

/// A time that is not `none`, for an instance without a request.
fn bounded_idle(text: &str) -> Result<Duration, String> {
    let Time(time) = text.parse()?;
    time.ok_or_else(|| "write a time, such as `10s`: an instance does not stay for ever".into())
}

/// A time that is neither `none` nor nothing, for a client.
fn bounded_client(text: &str) -> Result<Duration, String> {
    let Time(time) = text.parse()?;
    time.filter(|time| !time.is_zero())
        .ok_or_else(|| "write a time of more than `0s`, such as `60s`: a client neither leaves at once nor stays for ever".into())
}

fn split_unit(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        let size = |text: &str| text.parse::<Size>().ok().map(|size| size.0);
        let sizes = [
            ("100", Some(100)),
            ("1K", Some(1024)),
            ("64M", Some(64 << 20)),
            ("2GiB", Some(2 << 30)),
            ("99999999999999G", None),
            ("1.5G", None),
            ("M", None),
            ("-1", None),
            ("", None),
        ];
        for (text, bytes) in sizes {
            assert_eq!(size(text), bytes, "{text:?}");
        }
        for (text, expected) in [
            ("none", Some(Total::None)),
            ("4G", Some(Total::Of(Size(4 << 30)))),
            ("x", None),
        ] {
            assert_eq!(total(text).ok(), expected, "{text:?}");
        }
        let time = |text: &str| text.parse::<Time>().ok().map(|time| time.0);
        let times = [
            ("500ms", Some(Some(Duration::from_millis(500)))),
            ("10s", Some(Some(Duration::from_secs(10)))),
            ("5m", Some(Some(Duration::from_secs(300)))),
            ("none", Some(None)),
            ("10", None),
            ("s", None),
            ("99999999999s", None),
        ];
        for (text, expected) in times {
            assert_eq!(time(text), expected, "{text:?}");
        }
        for (text, idle, client) in [
            ("1s", Some(1), Some(1)),
            ("0s", Some(0), None),
            ("none", None, None),
        ] {
            let (idle, client) = (idle.map(Duration::from_secs), client.map(Duration::from_secs));
            assert_eq!(bounded_idle(text).ok(), idle, "{text:?}");
            assert_eq!(bounded_client(text).ok(), client, "{text:?}");
        }
    }
}
