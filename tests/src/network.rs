//! A network of the test's own, in which private, metadata and public addresses exist and lead nowhere else.
//!
//! [`isolated`] runs the calling test a second time, alone, in a network namespace whose loopback interface has
//! the [`ADDRESSES`] as well. There servers can listen on 10.0.0.5 or 169.254.169.254, DNS answers can name
//! them, and guests can try to connect, without a packet that leaves the machine.
//!
//! Some kernels and containers do not let a user have a namespace. Then the test says so and passes, unless
//! the variable `OUTPORT_REQUIRE_NETNS` is `1`, as in continuous integration.

use std::env;
use std::process::{Command, Output};

/// The addresses that the namespace has besides 127.0.0.0/8 and ::1. A network is there as a whole: whoever connects
/// to an address of 10.9.0.0/16 where nobody listens is told so.
pub const ADDRESSES: [&str; 8] = [
    "10.9.0.1/16",
    "10.0.0.5/32",
    "10.0.0.6/32",
    "93.184.216.34/32",
    "100.100.100.200/32",
    "169.254.169.254/32",
    "fd00:ec2::254/128",
    "2606:2800:21f::34/128",
];

const INSIDE: &str = "OUTPORT_TEST_INSIDE_NETNS";
const REQUIRED: &str = "OUTPORT_REQUIRE_NETNS";

/// Runs `body` in a network namespace of its own. Is the only statement of a test.
///
/// # Panics
///
/// If `body` does, or if there can be no namespace although there must be.
pub fn isolated<F: FnOnce()>(body: F) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    if let Err(refusal) = namespace_possible() {
        assert!(
            env::var(REQUIRED).as_deref() != Ok("1"),
            "no network namespace: {refusal}"
        );
        eprintln!("SKIPPED, since this machine allows no network namespace: {refusal}");
        return;
    }
    let output = run_alone(&test_name::<F>());
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "in a network of its own:\n{said}\n{complained}"
    );
    assert!(
        said.contains("1 passed"),
        "the test did not find itself:\n{said}\n{complained}"
    );
    eprint!("{said}");
}

fn namespace_possible() -> Result<(), String> {
    let output = Command::new("unshare")
        .args(["-rn", "ip", "link", "set", "lo", "up"])
        .output();
    match output {
        Err(error) => Err(format!("unshare (package util-linux): {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// `sockets::rl_3_a_test`: where the closure was written, which is how the test harness calls the test.
fn test_name<F>() -> String {
    let closure = std::any::type_name::<F>();
    let test = closure.trim_end_matches("::{{closure}}");
    test.split_once("::")
        .map_or(test, |(_crate, path)| path)
        .to_owned()
}

fn run_alone(test: &str) -> Output {
    // Else an IPv6 address cannot be used until the kernel has come to look whether somebody else has it.
    let addresses = ADDRESSES.map(|address| {
        if address.contains(':') {
            format!("ip address add {address} dev lo nodad")
        } else {
            format!("ip address add {address} dev lo")
        }
    });
    let script = format!("set -e; ip link set lo up; {}; exec \"$@\"", addresses.join("; "));
    let this = env::current_exe().expect("a test knows its own file");
    Command::new("unshare")
        .args(["-rn", "sh", "-c", &script, "sh"])
        .arg(this)
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare ran a moment ago")
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn every_address_can_be_listened_on_and_connected_to() {
        isolated(|| {
            for address in ADDRESSES {
                let (address, _) = address.split_once('/').unwrap();
                let listener = TcpListener::bind((address, 0)).expect(address);
                let port = listener.local_addr().unwrap().port();
                TcpStream::connect((address, port)).expect(address);
            }
        });
    }

    #[test]
    fn a_low_port_is_free() {
        isolated(|| {
            TcpListener::bind(("127.0.0.1", 53)).unwrap();
        });
    }

    #[test]
    fn nothing_leads_out() {
        isolated(|| {
            let error = std::net::UdpSocket::bind("0.0.0.0:0")
                .unwrap()
                .connect("192.0.2.1:9")
                .unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::NetworkUnreachable);
        });
    }
}
