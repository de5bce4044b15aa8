//! Where the outputs of jobs go.

use crate::outputs_json::json_line;
use cutpoint::error::{Error, ErrorKind, Result};
use cutpoint::input::{rehearse_npy, write_npy};
use cutpoint::tensor::Tensor;
use cutpoint_plan::workload::JobId;
use std::cell::RefCell;
use std::io::{Write, sink, stdout};
use std::path::Path;

/// A folder, which gets a .npy file of each output; or standard output, which gets a JSON line of each
/// job.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OutputTarget<'a> {
    Folder(&'a Path),
    StandardOutput,
}

impl OutputTarget<'_> {
    /// Makes the folder, if it is to be one.
    pub(crate) fn new(folder: Option<&Path>) -> Result<OutputTarget<'_>> {
        let Some(folder) = folder else { return Ok(OutputTarget::StandardOutput) };
        std::fs::create_dir_all(folder).map_err(|e| {
            Error::new(ErrorKind::File, format!("cannot be made: {e}")).at(folder.display())
        })?;
        Ok(OutputTarget::Folder(folder))
    }

    /// Writes the outputs of a job, which may be from a file of this name.
    pub(crate) fn write(
        self,
        job: JobId,
        input: Option<&str>,
        outputs: &[(String, Tensor)],
    ) -> Result<()> {
        self.write_with(job, input, outputs, write_npy, &mut stdout())
    }

    /// Does the work of writing, and leaves nothing behind.
    pub(crate) fn rehearse(self, job: JobId, outputs: &[(String, Tensor)]) -> Result<()> {
        self.write_with(job, None, outputs, rehearse_npy, &mut sink())
    }

    /// Writes each output as a file, or all as a line.
    fn write_with(
        self,
        job: JobId,
        input: Option<&str>,
        outputs: &[(String, Tensor)],
        write_npy: fn(&Path, &Tensor) -> Result<()>,
        lines: &mut dyn Write,
    ) -> Result<()> {
        let OutputTarget::Folder(folder) = self else {
            return writeln!(lines, "{}", json_line(job.0, input, outputs)).map_err(|e| {
                Error::new(ErrorKind::File, format!("cannot be written: {e}")).at("standard output")
            });
        };
        let safe = |name: &str| -> String {
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
        };
        let of_input = input.map(|name| format!("{}-", safe(name))).unwrap_or_default();
        outputs.iter().try_for_each(|(name, tensor)| {
            write_npy(&folder.join(format!("{:05}-{of_input}{}.npy", job.0, safe(name))), tensor)
        })
    }
}

/// Whether everything was written, told from where outputs come in one after the other.
#[derive(Debug, Default)]
pub(crate) struct Written(RefCell<Option<Error>>);

impl Written {
    /// Writes something, unless something could not be written before.
    pub(crate) fn after(&self, write: impl FnOnce() -> Result<()>) {
        let mut error = self.0.borrow_mut();
        if error.is_none() {
            *error = write().err();
        }
    }

    /// What could not be written, once.
    pub(crate) fn check(&self) -> Result<()> {
        self.0.take().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rehearsed_outputs_leave_no_file_and_written_ones_one_each() {
        let folder = tempfile::tempdir().unwrap();
        let target = OutputTarget::new(Some(folder.path())).unwrap();
        let outputs = ["a", "b/c"]
            .map(|name| (name.to_owned(), Tensor::from_f32(vec![1], &[1.0]).expect("one element")));
        let names = || -> Vec<String> {
            let mut names: Vec<String> = std::fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        target.rehearse(JobId(3), &outputs).unwrap();
        assert!(names().is_empty());
        target.write(JobId(3), Some("x.png"), &outputs).unwrap();
        assert_eq!(names(), ["00003-x_png-a.npy", "00003-x_png-b_c.npy"]);
    }

    #[test]
    fn the_first_failure_is_told_and_nothing_is_written_after_it() {
        let written = Written::default();
        written.after(|| Ok(()));
        written.check().unwrap();
        written.after(|| Err(Error::new(ErrorKind::File, "first")));
        written.after(|| unreachable!("nothing is written after a failure"));
        assert!(written.check().unwrap_err().to_string().contains("first"));
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_an_error_that_names_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = OutputTarget::new(Some(file.path())).unwrap_err();
        assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
    }
}
