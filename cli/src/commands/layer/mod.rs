//! `cairn layer`: shows the layer on the terminal, as a page, or as data.

mod page;
mod picture;
mod print;

use crate::commands::prove;
use crate::host::counts::Counts;
use crate::host::error::Error;
use crate::host::workspace;
use prover::Interface;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Show the layer's primitives: those that Cairn adds, and those of the reference, with the memory
/// accessors
///
/// For each primitive, the command shows what it reads, writes and logs, and how it can be stuck. It finds this out by
/// running the primitive symbolically over all its paths. It also runs all proofs, and shows what is proved of each
/// primitive. A primitive that is not written yet is shown as missing. The exit status is 1 if something is not proved,
/// or if the effects of a primitive could not be found.
#[derive(clap::Args)]
pub struct Arguments {
    /// Write one self-contained page: a card for each primitive, a filter, and a table of the fields
    /// that each primitive touches
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Draw a picture of the fields that each primitive touches
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write everything as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave out the proofs, which take longest
    #[arg(long)]
    no_proofs: bool,
}

/// Prints the layer, or writes its page.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let begin = Instant::now();
    let effects = prover::effects(prove::cores());
    let seconds = begin.elapsed().as_secs_f64();
    let report = (!arguments.no_proofs).then(|| prove::prove(&prove::Arguments::default())).transpose()?;
    let interface = Interface::new(&effects, seconds, report.as_ref());
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&interface).map_err(Error::Json)?;
        std::fs::write(path, text + "\n").map_err(Error::file("write", path))?;
    }
    if let Some(path) = &arguments.html {
        std::fs::write(path, page::page(&interface)).map_err(Error::file("write", path))?;
    }
    if let Some(path) = &arguments.svg {
        std::fs::write(path, picture::picture(&interface)).map_err(Error::file("write", path))?;
    }
    print::interface(&interface);
    let found = effects.iter().all(|effects| effects.failures.is_empty());
    let proved = report.is_none_or(|report| report.is_good());
    Ok(if found && proved { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Draws the picture of the README.
const PICTURE: &str = "docs/layer.svg";

/// Checks that the picture of the layer is up to date.
pub fn check_picture() -> Result<Counts, Error> {
    let path = workspace::root().join(PICTURE);
    let drawn = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    let interface = Interface::new(&prover::effects(prove::cores()), 0.0, None);
    let is_fresh = drawn == picture::picture(&interface);
    if !is_fresh {
        println!("  {PICTURE} is stale; regenerate it: cargo cairn layer --no-proofs --svg {PICTURE}");
    }
    Ok(Counts::one(PICTURE, is_fresh))
}
