//! The script guest: socket statements in, one line of result for each out.
//!
//! ```text
//! arguments or request body --Script::parse--> Script --Interpreter::perform--> "1 tcp.connect 127.0.0.1:80 => ok"
//!                                                            |
//!                                                            v
//!                                              World: WASI 0.2 or WASI 0.3
//! ```
//!
//! A script is parsed as a whole before its first statement runs, so a mistake in it costs no time and does
//! nothing. Statements run in order. A refusal is a result like any other and stops nothing: the script says
//! what is tried, its reader judges what came out. The grammar is in `guests/script-guest/README.md`.
//!
//! Nothing in this crate knows a WASI version. [`World`] is what a version has to offer, and the crates
//! `script-p2` and `script-p3` offer it.

mod action;
mod interpreter;
mod measure;
mod request_target;
mod script;
mod text;
mod world;

pub use action::{Action, Mistake, Show, SocketRef};
pub use interpreter::Interpreter;
pub use request_target::RequestTarget;
pub use script::{Script, Statement};
pub use world::{
    Code, Datagram, Direction, Family, HttpAnswer, HttpRequest, Lookup, Received, TcpSocket, UdpSocket, World,
};
