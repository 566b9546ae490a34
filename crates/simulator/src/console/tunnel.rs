//! CONNECT, and what a console does inside the tunnel.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::client::{GotAnswer, open};
use super::legacy_hello::{HelloReply, LegacyHello};
use super::wire::{AnswerHead, Wire, patiently};
use super::{Console, Request};
use crate::error::Error;

/// The newest TLS that the console speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// A tunnel that the proxy has opened, nothing sent through it yet.
#[derive(Debug)]
pub struct Tunnel {
    console: Console,
    host: String,
    stream: TcpStream,
    /// What the proxy said to the CONNECT.
    pub head: AnswerHead,
}

impl Console {
    /// Asks the proxy for a tunnel to port 443 of a host.
    ///
    /// # Errors
    /// If the proxy cannot be reached or answers with anything but success.
    pub async fn tunnel(
        &self,
        proxy: SocketAddr,
        host: &str,
        agent: Option<&str>,
    ) -> Result<Tunnel, Error> {
        let mut wire = Wire::new(open(proxy).await?);
        wire.send(&self.connect(host, agent)).await?;
        let head = wire.head("CONNECT").await?;
        if !(200..300).contains(&head.status) {
            let got = format!("{} {}", head.status, head.reason);
            return Err(Error::Unexpected { expected: "a tunnel".to_owned(), got });
        }
        let stream = wire.into_stream()?;
        Ok(Tunnel { console: self.clone(), host: host.to_owned(), stream, head })
    }
}

impl Tunnel {
    /// A real handshake, with the host as SNI and the console's roots. It offers no ALPN.
    ///
    /// # Errors
    /// If either side refuses the handshake.
    pub async fn handshake(self, newest: TlsVersion) -> Result<SecureClient, Error> {
        let name =
            ServerName::try_from(self.host.clone()).map_err(|_| Error::Url(self.host.clone()))?;
        let config = client_config(&self.console, newest);
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, self.stream);
        let stream = patiently(connecting).await?.map_err(handshake_error)?;
        Ok(SecureClient { console: self.console, wire: Wire::new(stream) })
    }

    /// Sends an old hello as it stands and reads the first record of the reply.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn send_hello(mut self, hello: &LegacyHello) -> Result<HelloReply, Error> {
        let mut wire = Wire::new(&mut self.stream);
        wire.send(&hello.bytes()).await?;
        loop {
            if let Some(reply) = HelloReply::read(wire.unread()) {
                return Ok(reply);
            }
            if wire.read().await? == 0 {
                return Ok(HelloReply::Closed);
            }
        }
    }

    /// Sends bytes that are no TLS and gives what comes back until the other side closes.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn send_plain(mut self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let mut wire = Wire::new(&mut self.stream);
        wire.send(bytes).await?;
        while wire.read().await? > 0 {}
        Ok(wire.unread().to_vec())
    }

    /// The connection itself.
    #[must_use]
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }
}

/// A console inside a tunnel, after the handshake.
#[derive(Debug)]
pub struct SecureClient {
    console: Console,
    wire: Wire<TlsStream<TcpStream>>,
}

impl SecureClient {
    /// Asks for an `https` URL and reads the whole answer.
    ///
    /// # Errors
    /// If what comes is no complete answer.
    pub async fn ask(&mut self, request: &Request) -> Result<GotAnswer, Error> {
        self.wire.send(&self.console.to_origin(request)?).await?;
        let head = self.wire.head(request.method).await?;
        let body = self.wire.body().await?;
        Ok(GotAnswer { head, body })
    }

    /// The certificates that the other side showed, leaf first, in DER.
    #[must_use]
    pub fn certificates(&self) -> Vec<Vec<u8>> {
        let (_, tls) = self.wire.stream().get_ref();
        tls.peer_certificates().unwrap_or_default().iter().map(|c| c.to_vec()).collect()
    }

    /// Version and suite that were agreed on, as rustls names them.
    #[must_use]
    pub fn agreed(&self) -> String {
        let (_, tls) = self.wire.stream().get_ref();
        match (tls.protocol_version(), tls.negotiated_cipher_suite()) {
            (Some(version), Some(suite)) => format!("{version:?} {:?}", suite.suite()),
            _ => "nothing".to_owned(),
        }
    }

    /// Closes as TLS wants it, and waits for the other side to do the same.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn close(self) -> Result<(), Error> {
        let mut stream = self.wire.into_stream()?;
        let closing = Error::while_doing("closing");
        stream.shutdown().await.map_err(&closing)?;
        // A peer that closes without close_notify is common and harmless here.
        let _ = patiently(stream.read(&mut [0; 64])).await?;
        Ok(())
    }
}

fn client_config(console: &Console, newest: TlsVersion) -> ClientConfig {
    let versions: &[&SupportedProtocolVersion] = match newest {
        TlsVersion::Tls12 => &[&rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("aws-lc-rs speaks TLS 1.2 and 1.3")
        .with_root_certificates(console.roots().clone())
        .with_no_client_auth()
}

fn handshake_error(error: std::io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(alert @ rustls::Error::AlertReceived(_)) => Error::RefusedByServer(alert.clone()),
        Some(refusal) => Error::Refused(refusal.clone()),
        None => Error::Connection { doing: "the TLS handshake", source: error },
    }
}
