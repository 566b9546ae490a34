//! `consoletap catalog`: the tables themselves, listed and checked.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use consoletap_catalog::{Catalog, Entry};
use consoletap_flow::Platforms;

use crate::exit::Usage;
use crate::terminal::Printer;

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// List the rows of the tables
    List(ListArgs),
    /// Look for rows that cannot be told apart, and for examples that their row does not explain
    Check(TablesArgs),
    /// Write the table of docs/coverage.md: each service of the documented page and its tests
    Coverage(CoverageArgs),
}

/// Which tables.
#[derive(Debug, Args)]
pub(crate) struct TablesArgs {
    /// Read more tables from this folder (repeatable)
    #[arg(long, value_name = "DIR")]
    pub(crate) catalog: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only rows that have all these words in their id, service, category, summary or examples
    words: Vec<String>,
    /// Only rows about this console, as `ps4` or `ps3|psp`
    #[arg(long, value_name = "NAME")]
    platform: Option<Platforms>,
    /// Only rows of this category
    #[arg(long, value_name = "NAME")]
    category: Option<String>,
    /// One JSON object a row, with everything that is known of it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tables: TablesArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CoverageArgs {
    /// The vectors of the page
    #[arg(default_value = "crates/catalog/tests/vectors/seed.tsv")]
    vectors: PathBuf,
}

impl TablesArgs {
    /// Our tables and those of the folders; a mistake in them is wrong usage.
    pub(crate) fn load(&self) -> anyhow::Result<Catalog> {
        Catalog::load(&self.catalog).map_err(|error| Usage::new(error).into())
    }
}

/// Lists, checks or counts.
///
/// # Errors
/// When tables cannot be read, or nothing can be printed.
pub(crate) fn run(command: CatalogCommand, printer: &Printer) -> anyhow::Result<ExitCode> {
    match command {
        CatalogCommand::List(args) => printer.data(&list(&args)?)?,
        CatalogCommand::Check(args) => return check(&args, printer),
        CatalogCommand::Coverage(args) => {
            let name = args.vectors.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let vectors = std::fs::read_to_string(&args.vectors).with_context(|| {
                format!("{}: the vectors cannot be read", args.vectors.display())
            })?;
            let table = consoletap_catalog::coverage(&Catalog::builtin(), &name, &vectors);
            printer.data(&table)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: &ListArgs) -> anyhow::Result<String> {
    let catalog = args.tables.load()?;
    let rows: Vec<&Entry> = catalog.entries().filter(|entry| args.wants(entry)).collect();
    if args.json {
        let lines = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        return Ok(lines.into_iter().map(|line| line + "\n").collect());
    }
    let cells = |entry: &Entry| {
        [entry.id.to_string(), entry.platform.to_string(), entry.category.to_string()]
    };
    let width = |column: usize| rows.iter().map(|e| cells(e)[column].len()).max().unwrap_or(0);
    let [id, platform, category] = [width(0), width(1), width(2)];
    let mut text = String::new();
    for entry in &rows {
        let [a, b, c] = cells(entry);
        let doubt = match entry.confidence {
            consoletap_catalog::Confidence::Unconfirmed => " (unconfirmed)",
            _ => "",
        };
        writeln!(text, "{a:<id$}  {b:<platform$}  {c:<category$}  {}{doubt}", entry.summary)?;
    }
    Ok(text)
}

impl ListArgs {
    fn wants(&self, entry: &Entry) -> bool {
        let has = |word: &String| {
            let word = word.to_lowercase();
            let texts = [entry.id.0.as_str(), entry.category.as_str(), &entry.summary];
            let texts = texts.into_iter().chain(entry.service.as_deref());
            let mut texts = texts.chain(entry.examples.iter().map(String::as_str));
            texts.any(|text| text.to_lowercase().contains(&word))
        };
        self.platform.is_none_or(|wanted| wanted.iter().any(|one| entry.platform.contains(one)))
            && self.category.as_deref().is_none_or(|wanted| entry.category.as_str() == wanted)
            && self.words.iter().all(has)
    }
}

fn check(args: &TablesArgs, printer: &Printer) -> anyhow::Result<ExitCode> {
    let catalog = args.load()?;
    let findings = catalog.check();
    let lines: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    printer.data(&lines)?;
    let rows = catalog.entries().count();
    match findings.len() {
        0 => {
            printer.say(&format!("consoletap: {rows} rows, nothing wrong with them\n"));
            Ok(ExitCode::SUCCESS)
        }
        count => {
            printer.say(&format!("consoletap: {rows} rows, {count} to be looked at\n"));
            Ok(ExitCode::FAILURE)
        }
    }
}
