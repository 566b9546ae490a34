//! What opens a connection of a client, by whichever stack its hello can be answered with.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::legacy::LegacyAcceptor;
use crate::stream::TlsStream;

/// Ready to open one connection.
pub struct Acceptor(By);

enum By {
    Rustls(Arc<ServerConfig>),
    Legacy(LegacyAcceptor),
}

impl Acceptor {
    pub(crate) fn rustls(config: Arc<ServerConfig>) -> Self {
        Self(By::Rustls(config))
    }

    pub(crate) fn legacy(acceptor: LegacyAcceptor) -> Self {
        Self(By::Legacy(acceptor))
    }

    /// Opens the connection.
    ///
    /// # Errors
    /// When the handshake fails; [`refusal`](crate::refusal) tells whether it was refused.
    pub async fn accept<S>(self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.0 {
            By::Rustls(config) => {
                let acceptor = tokio_rustls::TlsAcceptor::from(config);
                Ok(TlsStream::rustls(acceptor.accept(stream).await?.into()))
            }
            By::Legacy(acceptor) => Ok(TlsStream::legacy(acceptor.accept(stream).await?)),
        }
    }
}
