//! The files of certificates, keys and authorities: read, understood, and what is odd about them.
//!
//! Everything that is wrong is told in one go, each by the name of its file; of what is in a file of a key nothing is ever
//! told. They are plain files: what has to be loaded again cannot be a pipe.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use outport_check::{Code, Diagnostic};
use outport_egress::Timestamp;
use outport_files::regular_file;
use outport_policy::text;
use outport_runtime::http::{
    AuthoritiesProblem, CertificateChain, CertificateProblem, ClientAuthorities, PemProblem, PrivateKey,
    ServerCertificate, Validity,
};

use crate::files::unreadable;

/// The files that HTTPS takes.
pub(super) struct TlsFiles {
    pub(super) pairs: Vec<Pair>,
    /// Of the authorities that vouch for clients.
    pub(super) authorities: Option<PathBuf>,
}

/// A certificate and its key.
pub(super) struct Pair {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// What the files say.
#[derive(Clone)]
pub(super) struct Contents {
    /// In the order of [`TlsFiles::all`].
    files: Vec<Vec<u8>>,
    /// Warnings of keys that others can read.
    exposed: Vec<Diagnostic>,
}

/// Files say the same if their bytes are the same, whoever may read them.
impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

#[cfg(test)]
impl Contents {
    /// A file that says this.
    pub(super) fn of_one(bytes: &[u8]) -> Self {
        Self {
            files: vec![bytes.to_owned()],
            exposed: Vec::new(),
        }
    }
}

/// What they mean.
pub(super) struct Settings {
    pub(super) certificates: Vec<ServerCertificate>,
    pub(super) authorities: Option<ClientAuthorities>,
    /// What is odd, but for dates.
    pub(super) remarks: Vec<Diagnostic>,
}

/// How the time of a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    NotYet,
    Good,
    EndsSoon,
    Over,
}

impl TlsFiles {
    /// Each file, with what it is.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let pairs = self.pairs.iter();
        let pairs = pairs.flat_map(|pair| [(CERTIFICATE, &*pair.certificate), (KEY, &*pair.key)]);
        pairs.chain(self.authorities.iter().map(|path| (AUTHORITIES, &**path)))
    }

    /// Reads all of them, or tells which cannot be read.
    pub(super) fn read(&self) -> Result<Contents, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let mut contents = Contents {
            files: Vec::new(),
            exposed: Vec::new(),
        };
        for (what, path) in self.all() {
            match read(path) {
                Ok((bytes, metadata)) => {
                    contents.files.push(bytes);
                    if what == KEY {
                        contents.exposed.extend(exposed(path, &metadata));
                    }
                }
                Err(error) => wrong.push(unreadable(path, what, &error)),
            }
        }
        if wrong.is_empty() {
            Ok(contents)
        } else {
            Err(wrong)
        }
    }

    /// Understands what was read, or tells all that is wrong with it.
    pub(super) fn parse(&self, contents: &Contents) -> Result<Settings, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let mut files = contents.files.iter();
        let mut next = || files.next().map_or(&[][..], Vec::as_slice);
        let mut certificates = Vec::new();
        for pair in &self.pairs {
            let chain = CertificateChain::from_pem(next());
            let key = PrivateKey::from_pem(next());
            match (chain, key) {
                (Ok(chain), Ok(key)) => match ServerCertificate::new(chain, key) {
                    Ok(certificate) => certificates.push(certificate),
                    Err(problem) => wrong.push(pair.unfit(&problem)),
                },
                (chain, key) => {
                    let chain = chain
                        .err()
                        .map(|problem| not_pem(CERTIFICATE, &pair.certificate, &problem));
                    let key = key.err().map(|problem| not_pem(KEY, &pair.key, &problem));
                    wrong.extend(chain.into_iter().chain(key));
                }
            }
        }
        let mut authorities = None;
        if let Some(path) = &self.authorities {
            match ClientAuthorities::from_pem(next()) {
                Ok(read) => authorities = Some(read),
                Err(AuthoritiesProblem::Pem(problem)) => wrong.push(not_pem(AUTHORITIES, path, &problem)),
                Err(problem) => wrong.push(unusable(AUTHORITIES, path, &problem)),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let mut remarks = contents.exposed.clone();
        for (pair, certificate) in self.pairs.iter().zip(&certificates) {
            remarks.extend(pair.oddities(certificate));
        }
        let mut settings = Settings {
            certificates,
            authorities,
            remarks,
        };
        let standings = self.standings(&settings, SystemTime::now());
        let told = standings.into_iter().filter_map(|(_, told)| told);
        settings.remarks.extend(told.collect::<Vec<_>>());
        Ok(settings)
    }

    /// How the time of each certificate stands, and what there is to tell of it.
    pub(super) fn standings(
        &self,
        settings: &Settings,
        now: SystemTime,
    ) -> Vec<(Standing, Option<Diagnostic>)> {
        let own = self.pairs.iter().zip(&settings.certificates);
        let own = own.map(|(pair, certificate)| (CERTIFICATE, &*pair.certificate, certificate.validity()));
        let authorities = self.authorities.iter().zip(&settings.authorities);
        let authorities = authorities.flat_map(|(path, authorities)| {
            let all = authorities.validities().iter();
            all.map(|validity| (AUTHORITIES, &**path, *validity))
        });
        own.chain(authorities)
            .map(|(what, path, validity)| {
                let standing = Standing::of(validity, now);
                (standing, standing.tell(what, path, validity))
            })
            .collect()
    }
}

impl Pair {
    /// The key does not fit, or one of the two is not what it should be.
    fn unfit(&self, problem: &CertificateProblem) -> Diagnostic {
        let certificate = text::path(&self.certificate);
        match problem {
            CertificateProblem::UnsupportedKey => unusable(KEY, &self.key, problem).helped_by(
                "RSA with 2048 to 8192 bits, ECDSA with P-256 or P-384, and Ed25519 are; `openssl pkey -in FILE -check \
                 -noout` says whether it is damaged",
            ),
            CertificateProblem::KeyOfAnother => {
                let message = format!(
                    "the private key `{}` is not that of the certificate `{certificate}`",
                    text::path(&self.key)
                );
                Diagnostic::error(message).helped_by(
                    "each `--tls-key` belongs to the `--tls-cert` at the same place; both files have to be of one renewal",
                )
            }
            CertificateProblem::NotFirst { .. } => unusable(CERTIFICATE, &self.certificate, problem)
                .helped_by("put the server's own certificate first, then the one that issued it, and so on"),
            _ => unusable(CERTIFICATE, &self.certificate, problem),
        }
    }

    /// What clients will not like.
    fn oddities(&self, certificate: &ServerCertificate) -> impl Iterator<Item = Diagnostic> {
        let path = text::path(&self.certificate);
        let nameless = (!certificate.has_names()).then(|| {
            warning(format!(
                "the certificate `{path}` is for no name and no address (it has no subjectAltName): clients refuse it"
            ))
            .helped_by("have one issued that names the hosts that it is for")
        });
        let unlinked = certificate.unlinked().map(|number| {
            warning(format!(
                "certificate {number} in `{path}` is not the one that issued certificate {}: clients may trust neither",
                number - 1
            ))
            .helped_by("the server's own comes first, then the one that issued it, and so on")
        });
        nameless.into_iter().chain(unlinked)
    }
}

impl Standing {
    fn of(validity: Validity, now: SystemTime) -> Self {
        if now < validity.from {
            Self::NotYet
        } else if now > validity.until {
            Self::Over
        } else if now + SOON > validity.until {
            Self::EndsSoon
        } else {
            Self::Good
        }
    }

    fn tell(self, what: &str, path: &Path, validity: Validity) -> Option<Diagnostic> {
        let path = text::path(path);
        let what = if what == AUTHORITIES {
            "a certificate in the file of authorities"
        } else {
            "the certificate"
        };
        match self {
            Self::Good => None,
            Self::NotYet => Some(
                warning(format!(
                    "{what} `{path}` is not valid before {}",
                    day(validity.from)
                ))
                .helped_by("clients refuse it until then; the clock of this machine may be wrong, too"),
            ),
            Self::EndsSoon => Some(Diagnostic::note(format!(
                "{what} `{path}` expires on {}",
                day(validity.until)
            ))),
            Self::Over => Some(
                warning(format!("{what} `{path}` has expired on {}", day(validity.until)))
                    .helped_by("renew it: it is loaded again when the file changes"),
            ),
        }
    }
}

/// A day in UTC.
fn day(time: SystemTime) -> String {
    Timestamp::from(time).to_string().chars().take(10).collect()
}

fn read(path: &Path) -> io::Result<(Vec<u8>, Metadata)> {
    let file: File = regular_file::open(path)?;
    let metadata = file.metadata()?;
    let mut bytes = Vec::new();
    let read = file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if read as u64 > LONGEST {
        let message = format!("it is longer than {} MiB", LONGEST >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok((bytes, metadata))
}

/// A warning of a key that others can read, or change. A group that this process needs to read a file of somebody else's is
/// no stranger.
fn exposed(path: &Path, metadata: &Metadata) -> Option<Diagnostic> {
    let mode = metadata.mode();
    let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
    let whom = if mode & 0o006 != 0 {
        "every user of this machine"
    } else if mode & 0o060 != 0 && is_ours {
        "others, of the group of the file"
    } else {
        return None;
    };
    let path = text::path(path);
    let can = if mode & 0o022 != 0 {
        "read or changed"
    } else {
        "read"
    };
    Some(
        warning(format!("the private key `{path}` can be {can} by {whom}"))
            .helped_by(format!("`chmod 600 {path}`")),
    )
}

fn not_pem(what: &str, path: &Path, problem: &PemProblem) -> Diagnostic {
    let error = unusable(what, path, problem);
    match problem.advice() {
        Some(advice) => error.helped_by(advice),
        None => error,
    }
}

fn unusable(what: &str, path: &Path, problem: &dyn std::error::Error) -> Diagnostic {
    Diagnostic::error(format!(
        "the {what} `{}` cannot be used: {problem}",
        text::path(path)
    ))
}

fn warning(message: String) -> Diagnostic {
    Diagnostic::warning(message).coded(Code::Input)
}

const CERTIFICATE: &str = "certificate";
const KEY: &str = "private key";
const AUTHORITIES: &str = "file of authorities";

/// A certificate that ends within this time is mentioned: most are renewed a month before.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Bytes of the longest file.
const LONGEST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_certificate_is_mentioned_before_its_end_and_warned_of_after() {
        let day = |day: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(day * 24 * 3600);
        let validity = Validity {
            from: day(100),
            until: day(200),
        };
        let rows = [
            (99, Standing::NotYet, "is not valid before 1970-04-11"),
            (100, Standing::Good, ""),
            (186, Standing::Good, ""),
            (187, Standing::EndsSoon, "expires on 1970-07-20"),
            (200, Standing::EndsSoon, "expires on 1970-07-20"),
            (201, Standing::Over, "has expired on 1970-07-20"),
        ];
        for (now, expected, part) in rows {
            let standing = Standing::of(validity, day(now));
            assert_eq!(standing, expected, "{now}");
            let told = standing.tell(CERTIFICATE, Path::new("a.pem"), validity);
            let told = told.map_or_else(String::new, |told| told.message);
            assert!(
                told.contains(part) && told.is_empty() == part.is_empty(),
                "{now}: {told}"
            );
        }
    }

    #[test]
    fn a_key_is_for_its_owner_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, expected) in [
            (0o600, None),
            (0o400, None),
            (0o644, Some("can be read by every user")),
            (0o606, Some("can be read or changed by every user")),
            (0o640, Some("can be read by others, of the group")),
            (0o660, Some("can be read or changed by others, of the group")),
        ] {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let (_, metadata) = read(file.path()).unwrap();
            let told = exposed(file.path(), &metadata).map(|told| told.message);
            match expected {
                None => assert_eq!(told, None, "{mode:o}"),
                Some(part) => assert!(told.as_ref().unwrap().contains(part), "{mode:o}: {told:?}"),
            }
        }
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.pem");
        std::fs::write(&path, vec![b'a'; (LONGEST + 1) as usize]).unwrap();
        let error = read(&path).unwrap_err();
        assert_eq!(error.to_string(), "it is longer than 1 MiB");
    }
}
