//! `mayfly fsck`: verifies a whole data directory, whether a server uses it or not.

use crate::{cli, config};
use anyhow::{Context, Result};
use model::SystemClock;
use services::s3::damaged_objects;
use std::collections::HashSet;
use std::process::ExitCode;
use store::check::{Inspection, Verdict};

/// How many blobs are asked for at once.
const BATCH: u32 = 1_024;

/// Prints what is wrong, and whether anything is.
pub(crate) fn main(flags: &cli::Fsck) -> Result<ExitCode> {
    let dir = match &flags.data_dir {
        Some(dir) => dir.clone(),
        None => config::default_data_dir().context("no data directory; name one with --data-dir")?,
    };
    let clock = SystemClock;
    let inspection =
        Inspection::open(&dir, &clock).with_context(|| format!("cannot look at {}", dir.display()))?;
    let mut problems = inspection.databases()?;
    let (mut after, mut damaged, mut count, mut bytes) = (None, HashSet::new(), 0_u64, 0);
    loop {
        let blobs = inspection.view().linked_blobs(after, BATCH)?;
        let Some(last) = blobs.last() else { break };
        after = Some(*last);
        for id in blobs {
            count += 1;
            match inspection.blob(id)? {
                Verdict::Right(len) => bytes += len,
                // A server may have removed it since: only what is still linked counts.
                verdict => {
                    if inspection.is_linked(id)? {
                        let what = if verdict == Verdict::Missing { "is missing" } else { "is damaged" };
                        problems.push(format!("blob {id} {what}"));
                        damaged.insert(id);
                    }
                }
            }
        }
    }
    problems.extend(
        damaged_objects(&inspection.view(), &damaged)?.into_iter().map(|object| format!("damaged: {object}")),
    );
    for problem in &problems {
        println!("{problem}");
    }
    let orphans = inspection.orphans()?;
    println!(
        "{count} blobs with {bytes} bytes verified, {orphans} files without a record, {} problems",
        problems.len()
    );
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
