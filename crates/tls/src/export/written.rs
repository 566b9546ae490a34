//! The certificate in each form.

mod pkcs12;

use super::{CertificateForm, P12_PASSWORD};
use crate::ca::Authority;

impl Authority {
    /// The certificate in this form.
    #[must_use]
    pub fn export(&self, form: CertificateForm) -> Vec<u8> {
        match form {
            CertificateForm::Pem => self.certificate_pem().as_bytes().to_vec(),
            CertificateForm::Der => self.certificate_der().to_vec(),
            CertificateForm::P12 => pkcs12::trusted(&self.certificate_der(), P12_PASSWORD),
        }
    }
}
