//! Sockets that whoever started this process opened for it and goes on to hold: socket activation (sd_listen_fds(3)).
//!
//! | variable | says |
//! | --- | --- |
//! | `LISTEN_FDS` | how many there are, from descriptor 3 on |
//! | `LISTEN_PID` | the process that they are for |
//! | `LISTEN_FDNAMES` | what each is for, separated by colons: `admin` for tools, `http` or a name that systemd gives by itself for clients |
//!
//! Whoever passes sockets means them to be used. So what is wrong with one is an error, and nothing else is listened on
//! instead; only with no variable there is none. The variables are taken out of the environment.

use std::net::{SocketAddr, TcpListener};
use std::str::FromStr;

use listenfd::ListenFd;
use outport_check::Diagnostic;
use outport_policy::{Location, text};
use rustix::net::sockopt::socket_acceptconn;

use crate::failure::Failure;
use crate::service_manager::forget_variables;
use crate::spin_environment;

/// The sockets that were passed.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    pub(crate) http: Vec<TcpListener>,
    pub(crate) admin: Option<TcpListener>,
}

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Http,
    Admin,
}

impl Inherited {
    /// Takes those that the environment tells of. Must be called while the process has one thread.
    ///
    /// # Errors
    ///
    /// When they are for somebody else, or one of them is not what it should be.
    pub(crate) fn take() -> Result<Self, Failure> {
        let Some(number) = variable(FDS)? else {
            forget_variables(&[PID, NAMES]);
            return Ok(Self::default());
        };
        let (pid, names) = (variable(PID)?, variable(NAMES)?);
        let purposes = purposes(&number, pid.as_deref(), names.as_deref(), std::process::id());
        let purposes = purposes.map_err(|wrong| unusable(&wrong))?;
        let mut passed = ListenFd::from_env();
        forget_variables(&[PID, FDS, NAMES]);
        let mut inherited = Self::default();
        for (place, purpose) in purposes.into_iter().enumerate() {
            let socket = listener(&mut passed, place).map_err(|wrong| unusable(&wrong))?;
            match purpose {
                Purpose::Http => inherited.http.push(socket),
                Purpose::Admin if inherited.admin.is_none() => inherited.admin = Some(socket),
                Purpose::Admin => return Err(unusable("there are several sockets of the name `admin`")),
            }
        }
        Ok(inherited)
    }

    /// Refuses sockets at other addresses than the one that an option asks for.
    pub(crate) fn expect_at(
        sockets: &[TcpListener],
        wanted: SocketAddr,
        option: &str,
    ) -> Result<(), Failure> {
        for socket in sockets {
            let address = socket.local_addr()?;
            if !is_at(address, wanted) {
                let error = format!("the inherited socket listens on {address}, and {wanted} is asked for");
                let error = Diagnostic::error(error).at(Location::Option {
                    name: option.to_owned().into(),
                });
                let advice = "leave that out, or have the socket opened at that address";
                return Err(Failure::unusable(error.helped_by(advice)));
            }
        }
        Ok(())
    }
}

/// True if a socket is where it was wanted: any port where that was 0.
pub(crate) fn is_at(address: SocketAddr, wanted: SocketAddr) -> bool {
    address.ip() == wanted.ip() && (wanted.port() == 0 || address.port() == wanted.port())
}

/// What each of the sockets is for, as the variables say, for the process `own`.
fn purposes(number: &str, pid: Option<&str>, names: Option<&str>, own: u32) -> Result<Vec<Purpose>, String> {
    let number = whole(number).filter(|number| (1..=MOST).contains(number));
    let number = number.ok_or_else(|| format!("`{FDS}` is not a number from 1 to {MOST}"))?;
    match pid.map(whole::<u32>) {
        None => {}
        Some(Some(pid)) if pid == own => {}
        Some(Some(pid)) => return Err(format!("they are for the process {pid}, and this one is {own}")),
        Some(None) => return Err(format!("`{PID}` is not the number of a process")),
    }
    let Some(names) = names else {
        return Ok(vec![Purpose::Http; number]);
    };
    let names: Vec<&str> = names.split(':').collect();
    if names.len() != number {
        return Err(format!(
            "there are {number} by `{FDS}`, and {} names in `{NAMES}`",
            names.len()
        ));
    }
    names.into_iter().map(purpose).collect()
}

/// A number in digits alone: what another program reads in `+1` is its own affair.
fn whole<N: FromStr>(text: &str) -> Option<N> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn purpose(name: &str) -> Result<Purpose, String> {
    match name {
        "admin" => Ok(Purpose::Admin),
        // The last two are what there is without a name of its own.
        "http" | "" | "unknown" => Ok(Purpose::Http),
        _ if name.ends_with(".socket") => Ok(Purpose::Http),
        "connection" => Err(
            "one is the connection of a client, and not a socket that listens: write `Accept=no` in its unit"
                .into(),
        ),
        _ => Err(format!(
            "nobody knows what `{}` is for: name a socket `http` or `admin` (`FileDescriptorName=` of its unit)",
            text::quote(name)
        )),
    }
}

/// The socket at a place, which listens for TCP.
fn listener(passed: &mut ListenFd, place: usize) -> Result<TcpListener, String> {
    let descriptor = place + 3;
    let socket = match passed.take_tcp_listener(place) {
        Ok(Some(socket)) => socket,
        Ok(None) => return Err(format!("descriptor {descriptor} is not there")),
        Err(_) => return Err(format!("descriptor {descriptor} is {}", kind(passed, place))),
    };
    match socket_acceptconn(&socket) {
        Ok(true) => Ok(socket),
        Ok(false) => Err(format!(
            "descriptor {descriptor} is a TCP socket that does not listen"
        )),
        Err(error) => Err(format!("descriptor {descriptor} cannot be used: {error}")),
    }
}

/// What it is that is no TCP socket.
fn kind(passed: &mut ListenFd, place: usize) -> &'static str {
    if passed.take_udp_socket(place).is_ok() {
        "a UDP socket"
    } else if passed.take_unix_listener(place).is_ok() || passed.take_unix_datagram(place).is_ok() {
        "a Unix socket"
    } else {
        "closed, or not a socket that clients can connect to"
    }
}

fn variable(name: &'static str) -> Result<Option<String>, Failure> {
    spin_environment::read(name, |text| Ok(text.to_owned()))
}

fn unusable(wrong: &str) -> Failure {
    let error = format!("the sockets that this process was started with (`{FDS}`) cannot be used: {wrong}");
    let error = Diagnostic::error(error).at(spin_environment::location_of(FDS));
    Failure::unusable(error.helped_by(
        "pass sockets of TCP that listen, directly to `outport` (`exec outport …` in a script); where they are for \
         another program, unset `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES`",
    ))
}

const FDS: &str = "LISTEN_FDS";

const PID: &str = "LISTEN_PID";

const NAMES: &str = "LISTEN_FDNAMES";

/// More than anybody has of one app.
const MOST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_socket_is_for_is_said_by_the_variables() {
        use Purpose::{Admin, Http};
        type Row<'a> = (
            &'a str,
            Option<&'a str>,
            Option<&'a str>,
            Result<Vec<Purpose>, &'a str>,
        );
        let long = "x".repeat(1000);
        let rows: [Row<'_>; 23] = [
            ("1", Some("7"), None, Ok(vec![Http])),
            ("1", None, None, Ok(vec![Http])),
            ("2", Some("7"), Some("http:admin"), Ok(vec![Http, Admin])),
            (
                "2",
                Some("7"),
                Some("outport@shop.socket:http"),
                Ok(vec![Http, Http]),
            ),
            ("2", Some("7"), Some(":unknown"), Ok(vec![Http, Http])),
            ("1024", Some("7"), None, Ok(vec![Http; 1024])),
            (
                "1",
                Some("8"),
                None,
                Err("they are for the process 8, and this one is 7"),
            ),
            ("1", Some("x"), None, Err("`LISTEN_PID` is not")),
            ("1", Some("-7"), None, Err("`LISTEN_PID` is not")),
            ("0", Some("7"), None, Err("from 1 to 1024")),
            ("1025", Some("7"), None, Err("from 1 to 1024")),
            ("-1", Some("7"), None, Err("from 1 to 1024")),
            ("99999999999999999999", Some("7"), None, Err("from 1 to 1024")),
            ("+1", Some("7"), None, Err("from 1 to 1024")),
            ("", Some("7"), None, Err("from 1 to 1024")),
            ("1", Some("+7"), None, Err("`LISTEN_PID` is not")),
            ("1", Some("7"), Some(&long), Err("xxx…` is for")),
            ("one", Some("7"), None, Err("from 1 to 1024")),
            (
                "2",
                Some("7"),
                Some("http"),
                Err("there are 2 by `LISTEN_FDS`, and 1 names"),
            ),
            ("1", Some("7"), Some("http:admin"), Err("there are 1")),
            (
                "1",
                Some("7"),
                Some("metrics"),
                Err("nobody knows what `metrics` is for"),
            ),
            ("1", Some("7"), Some("a\u{1b}[2J"), Err(r"`a\u{1b}[2J`")),
            ("1", Some("7"), Some("connection"), Err("`Accept=no`")),
        ];
        for (number, pid, names, expected) in rows {
            let found = purposes(number, pid, names, 7);
            match expected {
                Ok(expected) => assert_eq!(found, Ok(expected), "{number} {pid:?} {names:?}"),
                Err(part) => {
                    let error = found.expect_err(number);
                    assert!(error.contains(part), "{number} {pid:?} {names:?}: {error}");
                }
            }
        }
    }

    #[test]
    fn a_socket_is_where_it_was_wanted_or_not() {
        for (address, wanted, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:0", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("0.0.0.0:80", "127.0.0.1:80", false),
            ("[::]:80", "0.0.0.0:80", false),
        ] {
            let is = is_at(address.parse().unwrap(), wanted.parse().unwrap());
            assert_eq!(is, expected, "{address} for {wanted}");
        }
    }
}
