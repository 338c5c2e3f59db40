//! The options for serving HTTPS, and what becomes of them.
//!
//! ```text
//! --tls-cert, --tls-key, --tls-client-ca ─► TlsFiles ─► their contents ─► Settings: certificates, authorities, remarks
//!                                             ▲                              │
//!                                             └── CertificateWatch ◄──── ServerTls ─► the server
//! ```
//!
//! Each `--tls-cert` has the `--tls-key` that stands at the same place among the keys.

mod files;
mod watch;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::Sender;

use clap::Args;
use outport_check::Diagnostic;
use outport_egress::meter::Meter;
use outport_policy::{Location, text};
use outport_runtime::guest_env::Directory;
use outport_runtime::http::ServerTls;

use self::files::{Contents, Pair, Settings, TlsFiles};
use self::watch::CertificateWatch;
use crate::failure::Failure;
use crate::files::Files;
use crate::reach::writable_by;
use crate::reload::Asked;
use crate::terminal::Terminal;

/// The options for HTTPS.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerTlsOptions {
    /// Serve HTTPS with the certificate in this PEM file, followed by those that issued it; several, each with its
    /// `--tls-key`, are chosen by the name that a client asks for. `SPIN_TLS_CERT` is read as with Spin
    #[arg(long, value_name = "FILE")]
    tls_cert: Vec<PathBuf>,

    /// The private key of the certificate, a PEM file without a passphrase; `SPIN_TLS_KEY` is read as with Spin
    #[arg(long, value_name = "FILE")]
    tls_key: Vec<PathBuf>,

    /// Let in only clients with a certificate that one of the authorities in this PEM file has issued
    #[arg(long, value_name = "FILE")]
    tls_client_ca: Option<PathBuf>,
}

/// HTTPS that is ready to be served.
pub(crate) struct ServedTls {
    tls: ServerTls,
    files: TlsFiles,
    contents: Contents,
    settings: Settings,
}

impl ServerTlsOptions {
    /// Reads what they name; none where no HTTPS is wanted.
    ///
    /// # Errors
    ///
    /// Something is missing, or cannot be used.
    pub(crate) fn read(&self) -> Result<Option<ServedTls>, Failure> {
        let Some(files) = self.files()? else {
            return Ok(None);
        };
        let contents = files.read().map_err(unusable)?;
        let settings = files.parse(&contents).map_err(unusable)?;
        let tls = ServerTls::new(&settings.certificates, settings.authorities.as_ref())?;
        Ok(Some(ServedTls {
            tls,
            files,
            contents,
            settings,
        }))
    }

    /// The files that are named.
    fn files(&self) -> Result<Option<TlsFiles>, Failure> {
        match (self.tls_cert.len(), self.tls_key.len()) {
            (0, 0) => match &self.tls_client_ca {
                None => return Ok(None),
                Some(_) => {
                    return Err(missing(
                        option("--tls-client-ca"),
                        "clients have certificates in HTTPS alone, and none is served".to_owned(),
                        "give `--tls-cert` and `--tls-key`, too",
                    ));
                }
            },
            (certificates, keys) if certificates == keys => {}
            (0, _) => {
                return Err(missing(
                    option("--tls-key"),
                    "there is a private key and no certificate".to_owned(),
                    "give `--tls-cert FILE`, too: HTTPS takes both",
                ));
            }
            (_, 0) => {
                return Err(missing(
                    option("--tls-cert"),
                    "there is a certificate and no private key".to_owned(),
                    "give `--tls-key FILE`, too: HTTPS takes both",
                ));
            }
            (certificates, keys) => {
                return Err(missing(
                    option("--tls-cert"),
                    format!("there are {certificates} of `--tls-cert`, and {keys} of `--tls-key`"),
                    "give as many of both: the first key is that of the first certificate, and so on",
                ));
            }
        }
        let pairs = self.tls_cert.iter().cloned().zip(self.tls_key.iter().cloned());
        Ok(Some(TlsFiles {
            pairs: pairs
                .map(|(certificate, key)| Pair { certificate, key })
                .collect(),
            authorities: self.tls_client_ca.clone(),
        }))
    }
}

impl ServedTls {
    /// The settings, as the server has them.
    pub(crate) fn tls(&self) -> ServerTls {
        self.tls.clone()
    }

    /// What is odd about the files, some of which a guest may be able to change that has `directories`.
    pub(crate) fn remarks(&self, directories: &[Directory]) -> Vec<Diagnostic> {
        let writable = self.files.all().filter_map(|(what, path)| {
            let shared = writable_by(path, directories)?;
            let (path, host) = (text::path(path), text::path(&shared.host));
            let warning = Diagnostic::warning(format!(
                "the guest can write to the {what} `{path}`, through `{host}`, which `--dir` opens to it"
            ));
            Some(warning.helped_by(
                "it would be loaded again with what the guest writes; keep it in a directory that no guest can write to",
            ))
        });
        let own = self.settings.remarks.iter().cloned();
        own.chain(writable).collect()
    }

    /// Watches the files, and answers by whom it is told to load them now.
    pub(crate) fn watch(self, meter: &Meter, terminal: Terminal) -> io::Result<Sender<Asked>> {
        let Self {
            tls,
            files,
            contents,
            settings,
        } = self;
        CertificateWatch::new(files, contents, settings, tls, meter, terminal.dated()).start()
    }
}

fn option(name: &str) -> Location {
    Location::Option { name: name.into() }
}

fn missing(location: Location, what: String, help: &str) -> Failure {
    Failure::unusable(Diagnostic::error(what).at(location).helped_by(help))
}

fn unusable(wrong: Vec<Diagnostic>) -> Failure {
    Failure::unusable_in(&Files::default(), wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_and_keys_come_in_pairs() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        /// Certificates, keys, authorities; pairs, or a part of the message.
        type Row = (
            &'static [&'static str],
            &'static [&'static str],
            Option<&'static str>,
            Result<usize, &'static str>,
        );
        let rows: [Row; 8] = [
            (&[], &[], None, Ok(0)),
            (&["a"], &["b"], None, Ok(1)),
            (&["a", "c"], &["b", "d"], Some("e"), Ok(2)),
            (&["a"], &[], None, Err("no private key")),
            (&[], &["b"], None, Err("no certificate")),
            (
                &["a", "c"],
                &["b"],
                None,
                Err("2 of `--tls-cert`, and 1 of `--tls-key`"),
            ),
            (&[], &[], Some("e"), Err("in HTTPS alone")),
            (
                &["a"],
                &["b", "c"],
                None,
                Err("1 of `--tls-cert`, and 2 of `--tls-key`"),
            ),
        ];
        for (certificates, keys, authorities, expected) in rows {
            let options = ServerTlsOptions {
                tls_cert: paths(certificates),
                tls_key: paths(keys),
                tls_client_ca: authorities.map(PathBuf::from),
            };
            let row = format!("{options:?}");
            match (options.files(), expected) {
                (Ok(files), Ok(pairs)) => {
                    assert_eq!(files.map_or(0, |files| files.pairs.len()), pairs, "{row}");
                }
                (Err(Failure::Unusable { diagnostics, .. }), Err(part)) => {
                    assert!(diagnostics[0].message.contains(part), "{row}: {diagnostics:?}");
                    assert!(diagnostics[0].help.is_some(), "{row}");
                }
                (files, _) => panic!("{row}: {:?}", files.is_ok()),
            }
        }
    }
}
