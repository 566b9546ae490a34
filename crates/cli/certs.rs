//! `consoletap certs …`: our certificate, looked at and handed out. A command a file.

mod export;
mod show;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use consoletap_tls::{Authority, CaError};

use crate::args::RunArgs;
use crate::settings::Settings;
use crate::terminal::Printer;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say which CA is used, and its fingerprint
    Show(show::Args),
    /// Write the certificate as files that a console or a computer takes; never the key, unless asked
    Export(export::Args),
}

/// Runs the command.
pub(crate) fn run(command: Command, printer: &Printer) -> anyhow::Result<()> {
    match command {
        Command::Show(args) => show::run(&args, printer),
        Command::Export(args) => export::run(&args, printer),
    }
}

/// Where the CA is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CaPlace {
    /// In a folder of ours, where it is made if need be.
    Folder(PathBuf),
    /// In two files of the user.
    Files {
        /// The certificate.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
}

impl CaPlace {
    /// Reads the CA, or makes it where it is ours.
    pub(crate) fn authority(&self) -> Result<Authority, CaError> {
        match self {
            Self::Folder(folder) => Authority::load_or_create(folder),
            Self::Files { certificate, key } => Authority::load(certificate.clone(), key.clone()),
        }
    }

    /// The file that is given to consoles.
    pub(crate) fn certificate(&self) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.join("ca.pem"),
            Self::Files { certificate, .. } => certificate.clone(),
        }
    }

    fn key(&self) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.join("ca-key.pem"),
            Self::Files { key, .. } => key.clone(),
        }
    }
}

/// Which CA, as `run` would take it.
#[derive(Debug, Default, Clone, clap::Args)]
pub(crate) struct CaArgs {
    /// The folder of the CA
    #[arg(long, value_name = "DIR")]
    certs: Option<PathBuf>,
    /// A CA of your own: its certificate
    #[arg(long, value_name = "FILE")]
    ca_cert: Option<PathBuf>,
    /// And its key
    #[arg(long, value_name = "FILE")]
    ca_key: Option<PathBuf>,
    /// Read settings from this file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl CaArgs {
    fn place(&self) -> anyhow::Result<CaPlace> {
        let run = RunArgs {
            certs: self.certs.clone(),
            ca_cert: self.ca_cert.clone(),
            ca_key: self.ca_key.clone(),
            config: self.config.clone(),
            ..RunArgs::default()
        };
        Ok(Settings::read(run)?.ca)
    }
}

/// A path for a person.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
