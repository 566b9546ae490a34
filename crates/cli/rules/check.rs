//! `consoletap rules check`: reads rule files, and says what is wrong in them.

use std::io::Write;

use consoletap_rules::Rules;

use crate::amounts::count;
use crate::terminal::Printer;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, or packs with their settings
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
}

/// Whether all of them can be used, together, too.
pub(crate) fn run(args: &Args, out: &mut dyn Write, printer: &Printer) -> anyhow::Result<bool> {
    let mut good = true;
    for file in &args.files {
        match Rules::load(std::slice::from_ref(file)) {
            Ok(rules) => writeln!(out, "{file}: {}", count(rules.len() as u64, "rule", "rules"))?,
            Err(error) => {
                good = false;
                printer.say(&format!("{error}\n"));
            }
        }
    }
    if good && let Err(error) = Rules::load(&args.files) {
        good = false;
        printer.say(&format!("{error}\n"));
    }
    Ok(good)
}
