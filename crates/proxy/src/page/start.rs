//! The first page.

use consoletap_flow::Platform;
use consoletap_tls::{Authority, CertificateForm, P12_PASSWORD, console_advice};

use super::html::Html;
use super::{Facts, tested};

pub(super) fn page(facts: &Facts<'_>) -> Html {
    let mut page = Html::begin("consoletap");
    page.title("consoletap");
    page.strong("You are connected to the proxy.");
    page.paragraph(&match facts.platform {
        Some(platform) => {
            format!("You are seen as: {}, address {}", full_name(platform), facts.client)
        }
        None => {
            format!("You are seen as: a program that is no known console, address {}", facts.client)
        }
    });
    page.link("/seen", "What was seen so far");
    https(&mut page, facts);
    page.heading("On this machine");
    page.list(console_advice(facts.platform).text.iter().copied());
    page
}

fn https(page: &mut Html, facts: &Facts<'_>) {
    page.heading("HTTPS");
    let Some(authority) = facts.authority else {
        page.paragraph("HTTPS is passed on unread: this proxy has no certificate of its own.");
        return;
    };
    page.paragraph(if facts.intercepts {
        "The proxy opens the HTTPS of the hosts that it was told to open, for those who trust its \
         certificate. Everything else is passed on unread."
    } else {
        "The proxy passes all HTTPS on unread: it was not told to open any (--intercept HOST)."
    });
    tested::offer(page, facts.tested.as_ref());
    page.heading("Certificate");
    certificate(page, facts, authority);
}

fn certificate(page: &mut Html, facts: &Facts<'_>, authority: &Authority) {
    let mut links = vec![
        ("/consoletap-ca.pem", "consoletap-ca.pem", ": as text (PEM)"),
        ("/consoletap-ca.cer", "consoletap-ca.cer", ": as octets (DER)"),
    ];
    let p12 = format!(": as P12, password {P12_PASSWORD}");
    links.push(("/consoletap-ca.p12", "consoletap-ca.p12", &p12));
    for file in console_advice(facts.platform).files {
        match (file.name, file.form) {
            ("CA60.cer", CertificateForm::Pem) => {
                links.push(("/CA60.cer", "CA60.cer", ": the name for this console"));
            }
            ("CA_LIST.cer", CertificateForm::Pem) => {
                links.push(("/CA_LIST.cer", "CA_LIST.cer", ": the name for this console"));
            }
            _ => {}
        }
    }
    page.links(&links);
    page.paragraph("Its SHA-256 fingerprint, to compare with what is shown when it is installed:");
    // In pieces that fit the screen of a handheld.
    let print = authority.fingerprint();
    let octets: Vec<&str> = print.split(':').collect();
    let lines: Vec<String> = octets.chunks(8).map(|octets| octets.join(":")).collect();
    page.paragraph(&lines.join(" "));
}

fn full_name(platform: Platform) -> &'static str {
    match platform {
        Platform::Ps3 => "PlayStation 3",
        Platform::Psp => "PSP",
        Platform::PsVita => "PS Vita",
        Platform::Ps4 => "PlayStation 4",
        Platform::Ps5 => "PlayStation 5",
        Platform::PlayStation => "a PlayStation",
        Platform::Ds => "Nintendo DS",
        Platform::ThreeDs => "Nintendo 3DS",
        Platform::Wii => "Wii",
        Platform::WiiU => "Wii U",
        Platform::Switch => "Nintendo Switch",
        Platform::Nintendo => "a Nintendo console",
        Platform::Xbox360 => "Xbox 360",
        Platform::XboxOne => "Xbox One or Series",
        Platform::Xbox => "an Xbox",
    }
}
