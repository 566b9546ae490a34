//! Our certificate as files that a console, a computer or an emulator takes, and what is known about
//! getting it in there. Never the key.

#[cfg(feature = "interception")]
mod written;

use consoletap_flow::Platform;

/// The password of the P12 form. It guards nothing, for nothing in there is secret; but programs
/// ask for one, and some do not take an empty one.
pub const P12_PASSWORD: &str = "consoletap";

/// A form of the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertificateForm {
    /// Text (RFC 7468): emulators, Linux, and the lists of PS3 and Vita.
    Pem,
    /// The same as octets (X.690): Windows, Android, dev kits.
    Der,
    /// PKCS #12 (RFC 7292) with the certificate alone: what asks for a P12 or PFX.
    P12,
}

impl CertificateForm {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Pem, Self::Der, Self::P12];

    /// The media type for HTTP, at which browsers offer to install it.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Pem | Self::Der => "application/x-x509-ca-cert",
            Self::P12 => "application/x-pkcs12",
        }
    }

    /// The usual name of a file of this form.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Pem => "consoletap-ca.pem",
            Self::Der => "consoletap-ca.cer",
            Self::P12 => "consoletap-ca.p12",
        }
    }
}

/// A file as a console wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsoleFile {
    /// Its name there.
    pub name: &'static str,
    /// What is in it.
    pub form: CertificateForm,
}

/// What is known about the certificates of a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsoleAdvice {
    /// The files that it can be given; none where there is no way.
    pub files: &'static [ConsoleFile],
    /// What to do with them, and what not to hope for. Plain ASCII, a sentence a string.
    pub text: &'static [&'static str],
}

/// What is known about this console; `None` is a computer, a phone or an emulator.
#[must_use]
pub fn console_advice(platform: Option<Platform>) -> ConsoleAdvice {
    let (files, text): (&[ConsoleFile], &[&str]) = match platform {
        Some(Platform::Ps3) => (
            &[ConsoleFile { name: "CA60.cer", form: CertificateForm::Pem }],
            &[
                "A PS3 as sold takes no certificate: its HTTPS is passed on unread.",
                "With custom or hybrid firmware, copy CA60.cer to the top of a USB stick and add it to \
                 dev_flash/data/cert with a certificate injector (CA01 to CA59 belong to the system: \
                 leave them alone). The browser is said to read CA_LIST.cer in the same folder.",
                "It speaks TLS 1.0 or 1.1: a build of consoletap with the feature legacy-tls opens \
                 that, for hosts named with --legacy-tls.",
            ],
        ),
        Some(Platform::PsVita) => (
            &[ConsoleFile { name: "CA_LIST.cer", form: CertificateForm::Pem }],
            &[
                "A PS Vita as sold takes no certificate: its HTTPS is passed on unread.",
                "With iTLS-Enso, the list of authorities is vs0:/data/external/cert/CA_LIST.cer. Add the \
                 text of our CA_LIST.cer to the end of that file; do not put ours in its place.",
                "It speaks TLS 1.1, or 1.2 with old cipher suites: a build of consoletap with the \
                 feature legacy-tls opens that, for hosts named with --legacy-tls.",
            ],
        ),
        Some(Platform::Psp) => (
            &[],
            &[
                "A PSP takes no certificate: its HTTPS is passed on unread.",
                "Up to 6.60 it speaks SSL 3.0, which nothing here opens.",
            ],
        ),
        Some(Platform::Ps4 | Platform::Ps5 | Platform::PlayStation) => (
            &[],
            &[
                "This console takes no certificate, and a jailbroken one does not either (only by \
                 patching its programs): HTTPS is passed on unread.",
                "Firmware lists, downloads and most title data go over plain HTTP and are seen anyway.",
            ],
        ),
        Some(Platform::Switch) => (
            &[],
            &[
                "A Switch as sold takes no certificate: its HTTPS is passed on unread.",
                "With Atmosphere, the patch disable_ca_verification switches the check off, and no \
                 certificate has to be installed; the browser needs disable_browser_ca_verification.",
                "Leave dauth-lp1.ndas.srv.nintendo.net unopened: it wants a certificate of the console.",
            ],
        ),
        Some(Platform::WiiU | Platform::ThreeDs) => (
            &[],
            &[
                "This console as sold takes no certificate: its HTTPS is passed on unread.",
                "With custom firmware, a NoSSL patch switches the check off, and no certificate has to \
                 be installed. On a 3DS it does not reach the browser, the account and Miiverse.",
                "It speaks TLS 1.0 or 1.1: a build of consoletap with the feature legacy-tls opens \
                 that, for hosts named with --legacy-tls. Many servers want a certificate of the console.",
            ],
        ),
        Some(Platform::Wii | Platform::Ds) => (
            &[],
            &[
                "This console takes no certificate, and speaks SSL 3.0 with RC4, which nothing here \
                 opens: its HTTPS is passed on unread.",
            ],
        ),
        Some(Platform::Nintendo) => (
            &[],
            &[
                "A Nintendo console as sold takes no certificate: its HTTPS is passed on unread.",
                "With custom firmware there are patches that switch the check off.",
            ],
        ),
        Some(Platform::Xbox360 | Platform::XboxOne | Platform::Xbox) => (
            &[ConsoleFile { name: "consoletap-ca.cer", form: CertificateForm::Der }],
            &[
                "An Xbox as sold has no proxy setting and takes no certificate.",
                "In developer mode the Device Portal takes both: the proxy's address and \
                 consoletap-ca.cer.",
            ],
        ),
        None => (
            &[
                ConsoleFile { name: "consoletap-ca.pem", form: CertificateForm::Pem },
                ConsoleFile { name: "consoletap-ca.cer", form: CertificateForm::Der },
                ConsoleFile { name: "consoletap-ca.p12", form: CertificateForm::P12 },
            ],
            &[
                "A computer, a phone or an emulator: install the certificate as an authority for \
                 websites, and remove it when you are done.",
                "consoletap-ca.p12 has the password \"consoletap\".",
            ],
        ),
    };
    ConsoleAdvice { files, text }
}
