//! The script guest's world on WASI 0.3.
//!
//! Operations of WASI 0.3 are asynchronous functions, and bytes travel in streams whose other end is the host.
//! Giving an operation up, because its time is over, means dropping its future: that cancels it.

mod address;
mod dns;
mod file;
mod http;
mod tcp;
mod udp;

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use script::{Code, Family, HttpAnswer, HttpRequest, World};
use wasip3::cli::{environment, exit};
use wasip3::clocks::monotonic_clock;
use wasip3::sockets::types::ErrorCode;

/// WASI 0.3.
pub struct P3;

impl World for P3 {
    type Tcp = tcp::Socket;
    type Udp = udp::Socket;
    type Lookup = dns::Lookup;

    fn create_tcp(&self, family: Family) -> Result<tcp::Socket, Code> {
        tcp::Socket::create(family)
    }

    fn create_udp(&self, family: Family) -> Result<udp::Socket, Code> {
        udp::Socket::create(family)
    }

    async fn start_lookup(&self, name: &str) -> Result<dns::Lookup, Code> {
        dns::Lookup::start(name).await
    }

    async fn fetch(&self, request: &HttpRequest) -> Result<HttpAnswer, Code> {
        http::fetch(request).await
    }

    async fn read_file(&self, path: &str) -> Result<Vec<u8>, Code> {
        file::read(path).await
    }

    async fn write_file(&self, path: &str, content: &[u8]) -> Result<(), Code> {
        file::write(path, content).await
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(monotonic_clock::now())
    }

    async fn sleep(&self, time: Duration) {
        sleep(time).await;
    }

    fn arguments(&self) -> Vec<String> {
        environment::get_arguments()
    }

    fn environment(&self) -> Vec<(String, String)> {
        environment::get_environment()
    }

    fn exit(&self, code: u8) -> ! {
        exit::exit_with_code(code);
        unreachable!("a guest that has ended goes on")
    }
}

async fn sleep(time: Duration) {
    monotonic_clock::wait_for(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)).await;
}

/// What the future comes to, or `None` if it takes longer than `time`.
async fn within<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    match select(pin!(future), pin!(sleep(time))).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(((), _)) => None,
    }
}

fn code(code: ErrorCode) -> Code {
    Code::of_variant(&code)
}
