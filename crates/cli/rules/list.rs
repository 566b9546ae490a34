//! `consoletap rules list`: the packs that are ready to be named, or what rules did in a session.

use std::io::Write;
use std::path::PathBuf;

use consoletap_rules::Rules;
use consoletap_session::Session;

use crate::look::Look;
use crate::totals::Totals;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Count what rules did in this session instead
    #[arg(long, value_name = "DIR")]
    session: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, look: &Look, out: &mut dyn Write) -> anyhow::Result<()> {
    match &args.session {
        None => write!(out, "{}", packs())?,
        Some(directory) => {
            let mut totals = Totals::default();
            Session::open(directory)?.flows().flatten().for_each(|flow| totals.add(&flow));
            match totals.rules(look) {
                table if table.is_empty() => writeln!(out, "No rule acted in this session.")?,
                table => write!(out, "{table}")?,
            }
        }
    }
    Ok(())
}

/// A line for each pack, and one for each of its settings.
fn packs() -> String {
    let packs = Rules::packs();
    let width = packs.iter().map(|pack| pack.name.len()).max().unwrap_or_default();
    let lines = packs.iter().map(|pack| {
        let settings = pack
            .settings
            .iter()
            .map(|(name, about)| format!("{:width$}  {}:{name}=… {about}\n", "", pack.name));
        format!("{:width$}  {}\n{}", pack.name, pack.description, settings.collect::<String>())
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_pack_has_its_line_and_its_settings() {
        let list = super::packs();
        assert!(list.contains("firmware-guard    Consoles see no newer firmware"), "{list}");
        assert!(list.contains("\n                  local-packages:folder=… the folder"), "{list}");
    }
}
