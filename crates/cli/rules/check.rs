//! `consoletap rules check`: reads rule files, and says what is wrong in them.

use std::io::Write;

use consoletap_filter::NamedClient;
use consoletap_rules::Rules;

use crate::amounts::count;
use crate::terminal::Printer;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, or packs with their settings
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// A name that the settings give a client (repeatable)
    #[arg(long, value_name = "NAME=ADDRESS")]
    name_client: Vec<NamedClient>,
}

/// Whether all of them can be used, together, too.
pub(crate) fn run(args: &Args, out: &mut dyn Write, printer: &Printer) -> anyhow::Result<bool> {
    let mut good = true;
    for file in &args.files {
        match Rules::load_naming(std::slice::from_ref(file), &args.name_client) {
            Ok(rules) => writeln!(out, "{file}: {}", count(rules.len() as u64, "rule", "rules"))?,
            Err(error) => {
                good = false;
                printer.say(&format!("{error}\n"));
            }
        }
    }
    if good && let Err(error) = Rules::load_naming(&args.files, &args.name_client) {
        good = false;
        printer.say(&format!("{error}\n"));
    }
    Ok(good)
}
