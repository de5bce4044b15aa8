//! Tensors as `.npy` files.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::FILE_BYTES_MAX;
use crate::tensor::{ElementType, Tensor};
use npyz::{DType, NpyFile, Order, WriteOptions, WriterBuilder};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use tempfile::NamedTempFile;

/// Reads a tensor of at most a limited number of bytes (`limits.rs`).
///
/// # Errors
/// [`ErrorKind::File`] if the file cannot be read; [`ErrorKind::Input`] if it is no `.npy` file, is
/// truncated or too large, or is in an order or of a type that is not supported.
pub fn read_npy(path: &Path) -> Result<Tensor> {
    let place = path.display();
    let file = File::open(path).map_err(|e| {
        Error::new(ErrorKind::File, "cannot be opened").at(place.to_string()).because(e)
    })?;
    let refuse = |message: String| Error::new(ErrorKind::Input, message).at(path.display());
    let npy =
        NpyFile::new(BufReader::new(file)).map_err(|e| refuse(format!("not a .npy file: {e}")))?;
    if npy.order() != Order::C {
        let hint = "save it with numpy.ascontiguousarray";
        return Err(refuse("in column-major order".to_owned()).hint(hint));
    }
    let element_type = match npy.dtype() {
        DType::Plain(name) => ElementType::all().find(|t| t.numpy_name() == name.to_string()),
        _ => None,
    };
    let element_type = element_type.ok_or_else(|| {
        refuse(format!("elements of type {} are not supported", npy.dtype().descr()))
    })?;
    let size = npy.shape().iter().try_fold(element_type.size() as u64, |s, &d| s.checked_mul(d));
    let size = size.filter(|&s| s <= FILE_BYTES_MAX).ok_or_else(|| {
        refuse(format!("shape {:?} is more than {FILE_BYTES_MAX} bytes", npy.shape()))
    })?;
    let shape = npy.shape().iter().map(|&d| d as usize).collect();
    let mut bytes = Vec::new();
    npy.into_inner()
        .take(size)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::new(ErrorKind::File, "cannot be read").at(path.display()).because(e))?;
    Tensor::new(element_type, shape, bytes.into()).map_err(|e| refuse(format!("truncated: {e}")))
}

/// Writes a tensor; the file appears whole or not at all.
///
/// # Errors
/// [`ErrorKind::File`].
pub fn write_npy(path: &Path, tensor: &Tensor) -> Result<()> {
    let file = temporary_npy(path, tensor)?;
    file.persist(path).map_err(|e| failed(path, e.error))?;
    Ok(())
}

/// Does what [`write_npy`] does, and leaves no file.
///
/// # Errors
/// As [`write_npy`].
pub fn rehearse_npy(path: &Path, tensor: &Tensor) -> Result<()> {
    temporary_npy(path, tensor).map(drop)
}

/// A tensor in a file that lies beside `path`, and is removed when it is dropped.
fn temporary_npy(path: &Path, tensor: &Tensor) -> Result<NamedTempFile> {
    let fail = |error| failed(path, error);
    let name = tensor.element_type().numpy_name();
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder).map_err(fail)?;
    let shape: Vec<u64> = tensor.shape().iter().map(|&d| d as u64).collect();
    let mut writer = WriteOptions::new_header_only()
        .dtype(DType::Plain(name.parse().expect("a name of numpy's")))
        .shape(&shape)
        .writer(BufWriter::new(&mut file))
        .write_header_only()
        .map_err(fail)?;
    writer.write_all(tensor.bytes()).and_then(|()| writer.flush()).map_err(fail)?;
    drop(writer);
    Ok(file)
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::File, format!("cannot be written: {error}")).at(path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_type_survives_a_file() {
        let folder = tempfile::tempdir().unwrap();
        for element_type in ElementType::all() {
            let bytes: Vec<u8> = (0..6 * element_type.size()).map(|b| (b % 2) as u8).collect();
            let tensor = Tensor::new(element_type, vec![2, 3], bytes.into()).unwrap();
            let path = folder.path().join("t.npy");
            write_npy(&path, &tensor).unwrap();
            assert_eq!(read_npy(&path).unwrap(), tensor);
        }
    }

    #[test]
    fn rehearsed_output_files_are_removed_and_fail_like_written_ones() {
        let folder = tempfile::tempdir().unwrap();
        let tensor = Tensor::from_f32(vec![2], &[1.0, 2.0]).unwrap();
        rehearse_npy(&folder.path().join("t.npy"), &tensor).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let nowhere = folder.path().join("none").join("t.npy");
        for write in [write_npy, rehearse_npy] {
            let error = write(&nowhere, &tensor).unwrap_err().to_string();
            assert!(error.contains("t.npy") && error.contains("cannot be written"), "{error}");
        }
    }

    #[test]
    fn files_that_are_not_npy_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.npy");
        std::fs::write(&path, b"hello").unwrap();
        let error = read_npy(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().contains("t.npy"));
        write_npy(&path, &Tensor::from_f32(vec![4], &[0.0; 4]).unwrap()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert!(read_npy(&path).unwrap_err().to_string().contains("truncated"));
    }
}
