//! A Redis client as a command: `redis HOST:PORT [COMMAND ARGUMENT…]`.
//!
//! It looks the host up, connects to each address in turn until one answers, sends the command (`PING` if there
//! is none) and prints the reply as `redis-cli` does on a terminal. It fails if there is no connection, if the
//! reply cannot be read, and if the reply is an error.

mod reply;

use std::fmt;
use std::io::{self, BufReader, Write};
use std::net::{IpAddr, SocketAddr};

use tcp::Connection;
use wasip2::cli::environment::get_arguments;
use wasip2::cli::{stderr, stdout};
use wasip2::exports::cli::run::Guest;
use wasip2::sockets::network::ErrorCode;

use crate::reply::Reply;

struct Redis;

wasip2::cli::command::export!(Redis);

impl Guest for Redis {
    fn run() -> Result<(), ()> {
        match converse(&get_arguments()) {
            Ok(reply) => {
                let _ = writeln!(stdout::get_stdout(), "{reply}");
                if reply.is_error() { Err(()) } else { Ok(()) }
            }
            Err(failure) => {
                let _ = writeln!(stderr::get_stderr(), "redis: {failure}");
                Err(())
            }
        }
    }
}

/// Why there is no reply.
enum Failure {
    Usage,
    Lookup { host: String, code: ErrorCode },
    Connect { address: SocketAddr, code: ErrorCode },
    Converse(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage => write!(f, "usage: redis HOST:PORT [COMMAND ARGUMENT...]"),
            Self::Lookup { host, code } => write!(f, "cannot look up {host}: {}", code.name()),
            Self::Connect { address, code } => write!(f, "cannot connect to {address}: {}", code.name()),
            Self::Converse(error) => write!(f, "the connection broke: {error}"),
        }
    }
}

fn converse(arguments: &[String]) -> Result<Reply, Failure> {
    let [_, server, command @ ..] = arguments else {
        return Err(Failure::Usage);
    };
    let (host, port) = server.rsplit_once(':').ok_or(Failure::Usage)?;
    let port = port.parse().map_err(|_| Failure::Usage)?;
    let connection = connect(host, port)?;
    let ping = ["PING".to_owned()];
    ask(connection, if command.is_empty() { &ping } else { command }).map_err(Failure::Converse)
}

/// Connects to the first address of the host that takes the connection. A literal address is not looked up.
fn connect(host: &str, port: u16) -> Result<Connection, Failure> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = match bare.parse::<IpAddr>() {
        Ok(literal) => vec![literal],
        Err(_) => tcp::lookup(host).map_err(|code| Failure::Lookup {
            host: host.to_owned(),
            code,
        })?,
    };
    let mut failure = Failure::Lookup {
        host: host.to_owned(),
        code: ErrorCode::NameUnresolvable,
    };
    for address in addresses {
        let address = SocketAddr::new(address, port);
        match Connection::open(address) {
            Ok(connection) => return Ok(connection),
            Err(code) => failure = Failure::Connect { address, code },
        }
    }
    Err(failure)
}

/// Sends a command as an array of bulk strings, and reads the reply.
fn ask(mut connection: Connection, command: &[String]) -> io::Result<Reply> {
    let mut request = format!("*{}\r\n", command.len());
    for word in command {
        request += &format!("${}\r\n{word}\r\n", word.len());
    }
    connection.write_all(request.as_bytes())?;
    connection.flush()?;
    Reply::read(&mut BufReader::new(connection))
}
