//! Does a failed handshake mean that the console refuses our certificate?

use std::io;

use rustls::{AlertDescription, Error};

use crate::alert::alert_name;
use crate::learned::Refusal;

/// Judges how a handshake with a console ended. `None` where it says nothing of our certificate.
#[must_use]
pub fn refusal(error: &io::Error) -> Option<Refusal> {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return match error {
            Error::AlertReceived(alert) => by_alert(*alert),
            _ => None,
        };
    }
    match error.kind() {
        // A console that does not like what it got after its hello may just hang up.
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => {
            Some(Refusal::Likely("the console hung up when it saw our certificate".to_owned()))
        }
        _ => None,
    }
}

/// RFC 8446 section 6.2. All but `unknown_ca` were seen as passing troubles too: a clock that is
/// not set yet, a revocation list that cannot be loaded.
fn by_alert(alert: AlertDescription) -> Option<Refusal> {
    match alert {
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::AccessDenied
        // What a CA of the same name with another key gets: ours was made anew since.
        | AlertDescription::DecryptError
        | AlertDescription::HandshakeFailure
        | AlertDescription::CloseNotify
        | AlertDescription::UserCanceled => {}
        _ => return None,
    }
    let reason = format!("the console rejected our certificate ({})", alert_name(alert.into()));
    Some(match alert {
        AlertDescription::UnknownCA => Refusal::Certain(reason),
        _ => Refusal::Likely(reason),
    })
}
