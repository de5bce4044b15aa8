//! The child process of a profile: runs the job that its parent left in a folder, and lets rten
//! print.

use super::profile::{JOB, Job, MODEL, RUN, WAITING};
use super::session::Rten;
use crate::engine::interface::EngineOptions;
use crate::engine::timing::WaitClock;
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::{ElementType, Tensor};
use rten::{ModelOptions, RunOptions};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

/// The child may be asked to read no larger file than this; the parent writes none.
const INPUT_BYTES_MAX: u64 = 8 << 30;

/// What the child process of a profile does: runs the job that lies in `folder` and prints.
///
/// # Errors
/// [`ErrorKind::File`] if there is no such job; otherwise as [`crate::engine::Engine::load`] and
/// [`crate::engine::InferenceSession::run`].
pub fn run_profile_job(folder: &Path) -> Result<()> {
    let read = |name: &str| -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = File::open(folder.join(name));
        let read = file.and_then(|f| f.take(INPUT_BYTES_MAX).read_to_end(&mut bytes));
        read.map_err(|e| {
            Error::new(ErrorKind::File, "cannot read a part of the job").because(e).at(name)
        })?;
        Ok(bytes)
    };
    let no_job = || Error::new(ErrorKind::File, "not a job to profile").at(folder.display());
    let job: Job = serde_json::from_slice(&read(JOB)?).map_err(|e| no_job().because(e))?;
    let mut inputs = Vec::with_capacity(job.inputs.len());
    for (index, input) in job.inputs.into_iter().enumerate() {
        let element_type =
            ElementType::from_protocol_name(&input.element_type).ok_or_else(no_job)?;
        let tensor = Tensor::new(element_type, input.shape, read(&index.to_string())?.into())?;
        inputs.push((input.name, tensor));
    }
    let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let options = EngineOptions { threads: job.threads };
    let session = Rten::new().session(&read(MODEL)?, options, &ModelOptions::with_all_ops())?;
    let clock = WaitClock::start();
    for _ in 0..job.runs {
        let start = Instant::now();
        session.run_with(&inputs, RunOptions::default())?;
        println!("{RUN}{}", start.elapsed().as_nanos());
        session.run_with(&inputs, RunOptions::default().with_verbose(true))?;
    }
    if let Some(share) = clock.share(job.threads) {
        println!("{WAITING}{share}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profiler_folder_without_a_job_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(run_profile_job(folder.path()).unwrap_err().kind(), ErrorKind::File);
        std::fs::write(folder.path().join(JOB), "{}").unwrap();
        let error = run_profile_job(folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("not a job to profile"), "{error}");
    }
}
