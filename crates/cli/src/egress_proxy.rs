//! The operator's egress proxy, as the options and, where they say so, the variables of the environment have it.
//!
//! ```text
//! --egress-proxy URL    that proxy, for everything but loopback
//! --egress-proxy env    HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, each in lower case first; none of them: an error
//! --egress-proxy none   no proxy, as without the option
//! ```
//!
//! It is read once, before a guest runs: when the runtime config file is loaded again the proxy stays as it is, whatever has
//! become of the file with the password. A password is in no message.

use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use clap::Args;
use outport_check::{Code, Diagnostic};
use outport_egress::{Credentials, EgressProxies, Exceptions, ProxyServer, ProxyServerError};
use outport_files::regular_file;
use outport_policy::{Location, text};

use crate::files::unreadable;

/// The way of guests' connections out of the network.
#[derive(Clone, Args)]
pub(crate) struct EgressProxyOptions {
    /// Send what guests connect to through this proxy, after it was judged: `http://HOST:PORT`, `socks5://HOST:PORT`, `env` (what `HTTPS_PROXY` and the like say) or `none` [default: none]
    #[arg(long, value_name = "URL")]
    egress_proxy: Option<String>,

    /// File with `user:password` for that proxy
    #[arg(long, value_name = "FILE")]
    egress_proxy_credentials: Option<PathBuf>,

    /// What was read the first time.
    #[arg(skip)]
    first: Arc<OnceLock<Reading>>,
}

/// What was read, and what there is to say to it.
#[derive(Clone, Default)]
struct Reading {
    proxies: Option<EgressProxies>,
    wrong: Vec<Diagnostic>,
    remarks: Vec<Diagnostic>,
}

/// Without the value, which may have a password although it must not.
impl std::fmt::Debug for EgressProxyOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EgressProxyOptions(…)")
    }
}

impl EgressProxyOptions {
    /// The proxies, if there are any. What is wrong, and what is odd, is put to the rest; what is odd the first time only.
    pub(crate) fn read(
        &self,
        allows_udp: bool,
        wrong: &mut Vec<Diagnostic>,
        remarks: &mut Vec<Diagnostic>,
    ) -> Option<EgressProxies> {
        let mut is_first = false;
        let reading = self.first.get_or_init(|| {
            is_first = true;
            self.read_now(&|name| std::env::var_os(name))
        });
        wrong.extend(reading.wrong.iter().cloned());
        if is_first {
            remarks.extend(reading.remarks.iter().cloned());
            if reading.proxies.is_some() && allows_udp {
                let warning =
                    Diagnostic::warning("UDP stays shut, since it cannot go through the egress proxy");
                let help = "leave out `--allow-udp`, or the proxy";
                remarks.push(warning.coded(Code::Input).at(option(PROXY)).helped_by(help));
            }
        }
        reading.proxies.clone()
    }

    fn read_now(&self, variable: &dyn Fn(&str) -> Option<std::ffi::OsString>) -> Reading {
        let mut reading = Reading::default();
        let wanted = self.egress_proxy.as_deref().map(str::trim).unwrap_or_default();
        let credentials = self.credentials(&mut reading);
        reading.proxies = match wanted {
            "" | "none" => {
                if credentials.is_some() {
                    let warning = "there is no egress proxy to send these credentials to";
                    reading.remark(Diagnostic::warning(warning).at(option(CREDENTIALS)));
                }
                None
            }
            "env" => of_environment(variable, credentials.as_ref(), &mut reading),
            url => one(url, credentials.as_ref(), &mut reading),
        };
        if !reading.wrong.is_empty() {
            reading.proxies = None;
        }
        reading
    }

    /// The credentials in the file, if there is one.
    fn credentials(&self, reading: &mut Reading) -> Option<Credentials> {
        let path = self.egress_proxy_credentials.as_deref()?;
        if path.as_os_str().is_empty() {
            return None;
        }
        let content = match content(path) {
            Ok((content, mode)) => {
                if let Some(mode) = mode.filter(|mode| mode & BY_OTHERS != 0) {
                    let shown = text::path(path);
                    let warning = format!(
                        "others on this machine can read `{shown}`, which has a password (mode {mode:o})"
                    );
                    let help = format!("close it to them: `chmod 600 {shown}`");
                    reading.remark(
                        Diagnostic::warning(warning)
                            .at(option(CREDENTIALS))
                            .helped_by(help),
                    );
                }
                content
            }
            Err(_) if path.to_string_lossy().contains([':', '@']) => {
                let message = "there is no such file with the credentials of the egress proxy, and what is named so looks like \
                    the credentials themselves";
                let help = "put them into a file that only you can read, and write its name";
                let wrong = Diagnostic::error(message).at(option(CREDENTIALS));
                reading.wrong.push(wrong.helped_by(help));
                return None;
            }
            Err(error) => {
                let unreadable = unreadable(path, "file with the credentials of the egress proxy", &error);
                reading.wrong.push(unreadable.at(option(CREDENTIALS)));
                return None;
            }
        };
        match Credentials::parse(&content) {
            Ok(credentials) => Some(credentials),
            Err(error) => {
                let message = format!("`{}` has no credentials: {error}", text::path(path));
                reading
                    .wrong
                    .push(Diagnostic::error(message).at(option(CREDENTIALS)));
                None
            }
        }
    }
}

impl Reading {
    fn remark(&mut self, diagnostic: Diagnostic) {
        self.remarks.push(diagnostic.coded(Code::Input));
    }

    /// Notes that the value of an option or a variable is none. It is quoted where it cannot have a password, which may stand
    /// behind a colon also where the `@` was forgotten.
    fn refuse(&mut self, value: &str, error: &(dyn std::error::Error + 'static), location: Location) {
        let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
        let what = if rest.contains(['@', ':']) {
            "this".to_owned()
        } else {
            format!("`{}`", text::quote(value))
        };
        let message = format!("{what} is not the URL of a proxy: {error}");
        let wrong = Diagnostic::error(message).at(location);
        self.wrong.push(match error.downcast_ref() {
            Some(ProxyServerError::UserInfo) => wrong.helped_by(format!(
                "put `user:password` into a file and name that with `{CREDENTIALS}`"
            )),
            _ => wrong,
        });
    }
}

/// The proxy of the option.
fn one(url: &str, credentials: Option<&Credentials>, reading: &mut Reading) -> Option<EgressProxies> {
    let server = match ProxyServer::parse(url) {
        Ok(server) => server,
        Err(error) => {
            reading.refuse(url, &error, option(PROXY));
            return None;
        }
    };
    with(server, credentials, reading).map(EgressProxies::one)
}

/// The proxies of the environment.
fn of_environment(
    variable: &dyn Fn(&str) -> Option<std::ffi::OsString>,
    credentials: Option<&Credentials>,
    reading: &mut Reading,
) -> Option<EgressProxies> {
    let mut value = |name: &'static str| {
        let lower = name.to_ascii_lowercase();
        let all = [lower, name.to_owned()].into_iter();
        let (name, value) = all
            .filter_map(|name| variable(&name).map(|value| (name, value)))
            .find(|(_, value)| !value.is_empty())?;
        let location = Location::Environment {
            variable: name.as_str().into(),
        };
        match value.into_string() {
            Ok(value) => Some((value.trim().to_owned(), location)),
            Err(_) => {
                let message = format!("the value of `{name}` is not UTF-8 text");
                reading.wrong.push(Diagnostic::error(message).at(location));
                None
            }
        }
    };
    let values = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(&mut value);
    let direct = value("NO_PROXY");
    let direct = match direct.map(|(list, location)| (Exceptions::parse(&list), location)) {
        None => Exceptions::default(),
        Some((Ok(direct), _)) => direct,
        Some((Err(error), location)) => {
            let help = "write names, addresses and networks, separated by commas; a port may follow each";
            let message = format!("what needs no proxy is not clear: {error}");
            reading
                .wrong
                .push(Diagnostic::error(message).at(location).helped_by(help));
            return None;
        }
    };
    let [http, https, other] = values.map(|value| {
        let (url, location) = value?;
        match ProxyServer::parse_variable(&url) {
            Ok(server) if server.has_credentials() => Some(server),
            Ok(server) => with(server, credentials, reading),
            Err(error) => {
                reading.refuse(&url, &error, location);
                None
            }
        }
    });
    let proxies = EgressProxies::for_each(http, https, other, direct);
    if proxies.is_none() && reading.wrong.is_empty() {
        let message =
            "the environment names no proxy: `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` are not set";
        let help = "set one of them, or write `--egress-proxy none` to go without";
        reading
            .wrong
            .push(Diagnostic::error(message).at(option(PROXY)).helped_by(help));
    }
    proxies
}

fn with(
    server: ProxyServer,
    credentials: Option<&Credentials>,
    reading: &mut Reading,
) -> Option<ProxyServer> {
    let Some(credentials) = credentials else {
        return Some(server);
    };
    match server.with(credentials.clone()) {
        Ok(server) => Some(server),
        Err(error) => {
            let message = format!("these credentials cannot be sent: {error}");
            reading
                .wrong
                .push(Diagnostic::error(message).at(option(CREDENTIALS)));
            None
        }
    }
}

/// The beginning of a file, enough to see that it is too long, and its mode if it is one.
fn content(path: &Path) -> io::Result<(Vec<u8>, Option<u32>)> {
    let file = regular_file::open_or_handed(path)?;
    let metadata = file.metadata()?;
    let mode = metadata.is_file().then(|| metadata.permissions().mode() & 0o777);
    let mut content = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut content)?;
    Ok((content, mode))
}

fn option(name: &'static str) -> Location {
    Location::Option { name: name.into() }
}

const PROXY: &str = "--egress-proxy";
const CREDENTIALS: &str = "--egress-proxy-credentials";

/// More bytes than credentials can have.
const MOST_BYTES: u64 = 2 * Credentials::MAX_LENGTH as u64;

/// Reading, writing and running by others than the owner of a file.
const BY_OTHERS: u32 = 0o077;

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn read(wanted: &str, file: Option<&Path>, variables: &[(&str, &str)]) -> Reading {
        let options = EgressProxyOptions {
            egress_proxy: Some(wanted.to_owned()),
            egress_proxy_credentials: file.map(Path::to_owned),
            first: Arc::default(),
        };
        options.read_now(&|name| {
            let own = variables.iter().find(|(own, _)| *own == name);
            own.map(|(_, value)| OsString::from(value))
        })
    }

    fn shown(reading: &Reading) -> String {
        let proxies = reading.proxies.as_ref().map(ToString::to_string);
        let wrong = reading
            .wrong
            .iter()
            .map(|wrong| format!("error: {}", wrong.message));
        let remarks = reading
            .remarks
            .iter()
            .map(|remark| format!("remark: {}", remark.message));
        proxies
            .into_iter()
            .chain(wrong)
            .chain(remarks)
            .collect::<Vec<_>>()
            .join("; ")
    }

    #[test]
    fn the_environment_counts_only_where_the_operator_says_so() {
        let all = [("HTTP_PROXY", "http://plain.example:1"), ("NO_PROXY", "*")];
        for wanted in ["", "none", " none "] {
            assert_eq!(shown(&read(wanted, None, &all)), "");
        }
        let own = read("socks5h://own.example:9", None, &all);
        assert_eq!(shown(&own), "socks5://own.example:9, but loopback directly");
    }

    #[test]
    fn the_environment_may_have_a_proxy_for_each() {
        let rows: [(&[(&str, &str)], &str); 8] = [
            (
                &[],
                "error: the environment names no proxy: `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` are not set",
            ),
            (
                &[("HTTP_PROXY", ""), ("NO_PROXY", "x.example")],
                "error: the environment names no proxy: `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` are not set",
            ),
            (
                &[("all_proxy", "a.example:1")],
                "http://a.example:1, but loopback directly",
            ),
            (
                &[
                    ("https_proxy", "http://lower.example:1"),
                    ("HTTPS_PROXY", "http://upper.example:2"),
                ],
                "http://lower.example:1, but loopback directly",
            ),
            (
                &[
                    ("HTTP_PROXY", "http://a.example:1"),
                    ("HTTPS_PROXY", "http://b.example:2"),
                    ("ALL_PROXY", "socks5://c.example:3"),
                    ("NO_PROXY", ".corp.example,10.0.0.0/8"),
                ],
                "http by http://a.example:1, https by http://b.example:2, everything else by socks5://c.example:3, but \
                 loopback, corp.example, 10.0.0.0/8 directly",
            ),
            (
                &[("HTTP_PROXY", "http://a.example:1"), ("no_proxy", "<local>")],
                "error: what needs no proxy is not clear: `<local>` is no name, address or network, with or without a port",
            ),
            (
                &[("HTTPS_PROXY", "https://user:geheim@a.example:1")],
                "error: this is not the URL of a proxy: TLS with a proxy is not spoken; write `http://HOST:PORT`, and reach \
                 it by a network that you trust",
            ),
            (
                &[("HTTPS_PROXY", "http://user:geheim@a.example:1")],
                "http://a.example:1, but loopback directly",
            ),
        ];
        for (variables, expected) in rows {
            assert_eq!(shown(&read("env", None, variables)), expected, "{variables:?}");
        }
    }

    #[test]
    fn a_password_comes_from_a_file_that_others_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let write = |content: &[u8], mode| {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            read("http://a.example:1", Some(&path), &[])
        };
        let fine = write(b"user:geheim\n", 0o600);
        assert_eq!(shown(&fine), "http://a.example:1, but loopback directly");
        assert!(
            fine.proxies
                .unwrap()
                .servers()
                .all(|server| server.has_credentials())
        );
        let open = shown(&write(b"user:geheim\n", 0o644));
        assert!(
            open.contains("remark: others on this machine can read") && open.contains("(mode 644)"),
            "{open}"
        );
        for (content, part) in [
            (&b"geheim\n"[..], "no `:`"),
            (b"user:geheim\nmore\n", "second line"),
            (&[b'x'; 5000], "longer than"),
        ] {
            let wrong = shown(&write(content, 0o600));
            assert!(wrong.starts_with("error:") && wrong.contains(part), "{wrong}");
            assert!(!wrong.contains("geheim"), "{wrong}");
        }
        let socks = read("socks5://a.example:1", Some(&path), &[]);
        assert!(socks.proxies.is_none());
        let wrong = shown(&read("http://a.example:1", Some(Path::new("me:hunter2")), &[]));
        assert!(
            wrong.contains("looks like the credentials") && !wrong.contains("hunter2"),
            "{wrong}"
        );
        for unreadable in [folder.path(), &folder.path().join("missing")] {
            let wrong = shown(&read("http://a.example:1", Some(unreadable), &[]));
            assert!(wrong.starts_with("error: "), "{wrong}");
            assert!(
                wrong.contains("file with the credentials of the egress proxy"),
                "{wrong}"
            );
        }
        let unused = shown(&read("none", Some(&path), &[]));
        assert!(
            unused.starts_with("error:"),
            "the file is read all the same: {unused}"
        );
        let inline = read("http://user:geheim@a.example:1", None, &[]);
        let help = inline.wrong[0].help.as_deref().unwrap_or_default();
        assert!(
            help.contains("--egress-proxy-credentials")
                && !format!("{help}{}", shown(&inline)).contains("geheim"),
            "{help}: {}",
            shown(&inline)
        );
        for forgotten in [
            "u:geheim",
            "http://u:geheim",
            "socks5://u:geheim/",
            "//u:geheim",
            "http:geheim",
        ] {
            let option = shown(&read(forgotten, None, &[]));
            let variable = shown(&read("env", None, &[("HTTP_PROXY", forgotten)]));
            for wrong in [option, variable] {
                assert!(
                    wrong.starts_with("error: this is not") && !wrong.contains("geheim"),
                    "{wrong}"
                );
            }
        }
        let plain = shown(&read("proxy.example", None, &[]));
        assert!(plain.starts_with("error: `proxy.example` is not"), "{plain}");
    }
}
