//! `consoletap certs export`.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use consoletap_flow::Platform;
use consoletap_tls::{Authority, CertificateForm, P12_PASSWORD, console_advice};

use super::{CaArgs, CaPlace};
use crate::exit::Usage;
use crate::terminal::Printer;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// In which form [default: pem, or what the console wants]
    #[arg(long, value_enum, value_name = "FORM")]
    format: Option<Form>,
    /// The files that this console wants, and what to do with them
    #[arg(long = "for", value_enum, value_name = "CONSOLE", conflicts_with = "format")]
    console: Option<Console>,
    /// Write to this folder
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// Write the private key, too: whoever gets that file can read what your consoles send
    #[arg(long)]
    with_key: bool,
    #[command(flatten)]
    ca: CaArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Text: emulators, Linux, PS3, PS Vita
    Pem,
    /// Octets: Windows, Android, dev kits
    Der,
    /// PKCS #12 without a key
    P12,
    /// Each of them
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Console {
    Ps3,
    Psp,
    Vita,
    Ps4,
    Ps5,
    Switch,
    Wiiu,
    #[value(name = "3ds")]
    ThreeDs,
    Wii,
    Ds,
    Xbox,
    /// A computer, a phone or an emulator
    Computer,
}

impl Console {
    fn platform(self) -> Option<Platform> {
        Some(match self {
            Self::Ps3 => Platform::Ps3,
            Self::Psp => Platform::Psp,
            Self::Vita => Platform::PsVita,
            Self::Ps4 => Platform::Ps4,
            Self::Ps5 => Platform::Ps5,
            Self::Switch => Platform::Switch,
            Self::Wiiu => Platform::WiiU,
            Self::ThreeDs => Platform::ThreeDs,
            Self::Wii => Platform::Wii,
            Self::Ds => Platform::Ds,
            Self::Xbox => Platform::Xbox,
            Self::Computer => return None,
        })
    }
}

/// Writes the files; their paths are the data, what to do with them is for people.
pub(super) fn run(args: &Args, printer: &Printer) -> anyhow::Result<()> {
    let place = args.ca.place()?;
    let authority = place.authority()?;
    let files = wanted(args);
    fs::create_dir_all(&args.output)
        .with_context(|| format!("cannot make the folder {}", args.output.display()))?;
    for (name, form) in &files {
        let path = args.output.join(name);
        write(&path, &authority.export(*form), 0o644)?;
        printer.data(&format!("{}\n", path.display()))?;
    }
    if args.with_key {
        let path = args.output.join("consoletap-ca-with-key.pem");
        write(&path, &with_key(&authority, &place)?, 0o600)?;
        printer.data(&format!("{}\n", path.display()))?;
    }
    printer.say(&advice(args, &authority, &files));
    Ok(())
}

fn wanted(args: &Args) -> Vec<(&'static str, CertificateForm)> {
    let usual = |form: CertificateForm| (form.file_name(), form);
    match (args.console, args.format) {
        (Some(console), _) => {
            let files = console_advice(console.platform()).files.iter();
            files.map(|file| (file.name, file.form)).collect()
        }
        (None, None | Some(Form::Pem)) => vec![usual(CertificateForm::Pem)],
        (None, Some(Form::Der)) => vec![usual(CertificateForm::Der)],
        (None, Some(Form::P12)) => vec![usual(CertificateForm::P12)],
        (None, Some(Form::All)) => CertificateForm::ALL.map(usual).to_vec(),
    }
}

/// A file that is there is replaced where it is an older certificate, and never by one that holds
/// a key: the mode of an existing file would stay.
fn write(path: &Path, octets: &[u8], mode: u32) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    if mode == 0o600 {
        options.create_new(true);
    } else {
        options.create(true).truncate(true);
    }
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let written = options.open(path).and_then(|mut file| file.write_all(octets));
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn with_key(authority: &Authority, place: &CaPlace) -> anyhow::Result<Vec<u8>> {
    let key = place.key();
    let text =
        fs::read_to_string(&key).with_context(|| format!("cannot read {}", key.display()))?;
    // One file may hold both already.
    let begin = text.find("-----BEGIN").filter(|_| !text.contains("BEGIN CERTIFICATE"));
    match begin {
        Some(begin) => {
            Ok(format!("{}{}", authority.certificate_pem(), &text[begin..]).into_bytes())
        }
        None => Err(Usage::new(format!(
            "{} holds more than a key: copy that file where both are wanted",
            key.display()
        ))
        .into()),
    }
}

fn advice(args: &Args, authority: &Authority, files: &[(&str, CertificateForm)]) -> String {
    let mut text = String::new();
    if let Some(console) = args.console {
        for line in console_advice(console.platform()).text {
            text.push_str(line);
            text.push('\n');
        }
    }
    if files.iter().any(|(_, form)| *form == CertificateForm::P12) && args.console.is_none() {
        text.push_str(&format!("The password of the P12 file is {P12_PASSWORD}.\n"));
    }
    if args.with_key {
        text.push_str(
            "consoletap-ca-with-key.pem holds the private key: give it to nobody, and remove it \
             when it has served.\n",
        );
    }
    if !files.is_empty() {
        text.push_str(&format!("SHA-256 fingerprint: {}\n", authority.fingerprint()));
    }
    text
}
