//! What went wrong with TLS, for the guest in words and for the log as a code.

use std::io;

use rustls::CertificateError;

/// A kind of trouble. What a peer says is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    CertificateForAnother,
    UnknownAuthority,
    Expired,
    NotYetValid,
    Certificate,
    Alert,
    Protocol,
    TimedOut,
    Ended,
}

impl Trouble {
    pub(super) fn of(error: &io::Error) -> Self {
        let of_tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match of_tls {
            Some(rustls::Error::InvalidCertificate(why)) => Self::of_certificate(why),
            Some(rustls::Error::AlertReceived(_)) => Self::Alert,
            Some(_) => Self::Protocol,
            None if error.kind() == io::ErrorKind::TimedOut => Self::TimedOut,
            // Whatever else it is comes from the guest's streams, which fail only by ending.
            None => Self::Ended,
        }
    }

    fn of_certificate(why: &CertificateError) -> Self {
        match why {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::CertificateForAnother
            }
            CertificateError::UnknownIssuer => Self::UnknownAuthority,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            _ => Self::Certificate,
        }
    }

    /// The code in the log. The words are those of `wasi:http`.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::CertificateForAnother
            | Self::UnknownAuthority
            | Self::Expired
            | Self::NotYetValid
            | Self::Certificate => "tls-certificate-error",
            Self::Alert => "tls-alert-received",
            Self::Protocol => "tls-protocol-error",
            Self::TimedOut => "connection-timeout",
            Self::Ended => "connection-terminated",
        }
    }

    /// What it means for a handshake.
    pub(super) fn in_handshake(self) -> &'static str {
        match self {
            Self::CertificateForAnother => "the certificate is for another name",
            Self::UnknownAuthority => "the certificate is not from an authority that is trusted",
            Self::Expired => "the certificate has expired",
            Self::NotYetValid => "the certificate is not valid yet",
            Self::Certificate => "the certificate is not valid",
            Self::Alert => "the server refused the TLS handshake",
            Self::Protocol => "the server does not speak TLS as it should",
            Self::TimedOut => "the TLS handshake took more than 10 seconds",
            Self::Ended => "the connection ended during the TLS handshake",
        }
    }

    /// What it means for a connection that was secured before.
    pub(super) fn afterwards(self) -> &'static str {
        match self {
            Self::Ended => "the connection ended without an end of TLS",
            Self::Alert => "the server broke TLS off",
            other => other.in_handshake(),
        }
    }
}
