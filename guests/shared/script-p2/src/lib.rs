//! The script guest's world on WASI 0.2.
//!
//! WASI 0.2 waits by polling: an operation that is not done answers `would-block`, and a pollable says when to
//! ask again. [`wait`] is that loop. So every function here blocks the guest, its future is ready at once, and
//! [`run`] needs no executor.

mod address;
mod dns;
mod file;
mod http;
mod tcp;
mod udp;

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use script::{Code, Family, HttpAnswer, HttpRequest, World};
use wasip2::cli::{environment, exit};
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::Pollable;
use wasip2::sockets::network::ErrorCode;

/// WASI 0.2.
pub struct P2;

/// The result of a future that is ready when first polled, as all of this world's are.
///
/// # Panics
///
/// If it is not.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a future of WASI 0.2 blocks instead of being pending"),
    }
}

impl World for P2 {
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
        dns::Lookup::start(name)
    }

    async fn fetch(&self, request: &HttpRequest) -> Result<HttpAnswer, Code> {
        http::fetch(request)
    }

    async fn read_file(&self, path: &str) -> Result<Vec<u8>, Code> {
        file::read(path)
    }

    async fn write_file(&self, path: &str, content: &[u8]) -> Result<(), Code> {
        file::write(path, content)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(monotonic_clock::now())
    }

    async fn sleep(&self, time: Duration) {
        timer(time).block();
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

/// Asks again, each time the pollable says so, until the answer is not `would-block`.
fn wait<T>(ready: &Pollable, mut ask: impl FnMut() -> Result<T, ErrorCode>) -> Result<T, Code> {
    loop {
        match ask() {
            Err(ErrorCode::WouldBlock) => ready.block(),
            result => return result.map_err(code),
        }
    }
}

fn timer(time: Duration) -> Pollable {
    monotonic_clock::subscribe_duration(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

fn code(code: ErrorCode) -> Code {
    Code::named(code.name())
}
