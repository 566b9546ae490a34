//! A made-up client that asks what a PS4 asks: which firmware there is, what a title is called, and
//! which services are on. It stands for whatever you have that speaks to such servers; how it is
//! tested without them is in `tests/`.

use std::sync::Arc;

use quick_xml::Reader;
use quick_xml::events::Event;
use thiserror::Error;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// A firmware that the servers offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    /// As people call it: `1.72`.
    pub label: String,
    /// Where its image is.
    pub image: String,
}

/// Why nothing could be found out.
#[derive(Debug, Error)]
pub enum Failure {
    /// The server was not reached, or said no.
    #[error(transparent)]
    Http(#[from] ureq::Error),
    /// What it said was not what such a server says.
    #[error("{0} said something else than expected")]
    Unexpected(&'static str),
}

/// The client.
#[derive(Debug)]
pub struct UpdateChecker(ureq::Agent);

impl UpdateChecker {
    /// One that goes through a proxy, and trusts the servers that this certificate stands for.
    ///
    /// # Errors
    /// When the proxy's URL or the certificate (PEM) cannot be read.
    pub fn through(proxy: &str, ca_pem: &str) -> Result<Self, Failure> {
        let trusted = [Certificate::from_pem(ca_pem.as_bytes())?];
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .root_certs(RootCerts::from(trusted.into_iter()));
        let config = ureq::Agent::config_builder()
            .proxy(Some(ureq::Proxy::new(proxy)?))
            .user_agent("update-checker/0.1")
            .tls_config(tls.build());
        Ok(Self(config.build().into()))
    }

    /// The newest firmware for a region: `us`, `eu` …
    ///
    /// # Errors
    /// When the server cannot be asked, or its list not be read.
    pub fn newest_firmware(&self, region: &str) -> Result<Firmware, Failure> {
        let host = format!("f{region}01.ps4.update.playstation.net");
        let list =
            self.get(&format!("http://{host}/update/ps4/list/{region}/ps4-updatelist.xml"))?;
        firmware(&list).ok_or(Failure::Unexpected("the update list"))
    }

    /// What a title is called, by the address of its metadata.
    ///
    /// # Errors
    /// When the server cannot be asked, or has no name for it.
    pub fn title(&self, metadata: &str) -> Result<String, Failure> {
        let unexpected = Failure::Unexpected("the title metadata");
        let Ok(title) = serde_json::from_str::<serde_json::Value>(&self.get(metadata)?) else {
            return Err(unexpected);
        };
        title["names"][0]["name"].as_str().map(str::to_owned).ok_or(unexpected)
    }

    /// How many services are on.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn services(&self) -> Result<usize, Failure> {
        let list = self.get("https://ps4-eb.ww.np.dl.playstation.net/ps4-eb/servicelist.xml")?;
        Ok(list.matches("default=\"allow\"").count())
    }

    fn get(&self, url: &str) -> Result<String, Failure> {
        Ok(self.0.get(url).call()?.body_mut().read_to_string()?)
    }
}

/// The label of the first `system_pup` of an update list, and the first image behind it.
fn firmware(list: &str) -> Option<Firmware> {
    let mut reader = Reader::from_str(list);
    let mut label = None;
    let mut is_image = false;
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) if element.name().as_ref() == "system_pup" => {
                let attribute = element.attributes().flatten();
                let mut named = attribute.filter(|one| one.key.as_ref() == "label");
                label = label.or_else(|| named.next().map(|one| one.value.into_owned()));
            }
            Event::Start(element) => is_image = element.name().as_ref() == "image",
            Event::Text(text) if is_image => {
                return Some(Firmware { label: label?, image: text.trim().to_owned() });
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}
