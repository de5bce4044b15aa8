use super::*;
use std::io::Write;
use zip::write::{SimpleFileOptions, ZipWriter};

fn wheel_with(name: &str, content: &[u8]) -> Cursor<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(name, SimpleFileOptions::default()).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

fn names_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn the_library_of_a_wheel_is_written_whole() {
    let dir = tempfile::tempdir().unwrap();
    let library = dir.path().join("libonnxruntime.so.1.32.0");
    let wheel = wheel_with("onnxruntime/capi/libonnxruntime.so.1.32.0", b"library");
    assert_eq!(extract(wheel, &library).unwrap(), library);
    assert_eq!(fs::read(&library).unwrap(), b"library");
    assert_eq!(names_in(dir.path()), ["libonnxruntime.so.1.32.0"]);
}

#[test]
fn a_wheel_without_the_library_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let library = dir.path().join("libonnxruntime.so.1.32.0");
    let other = wheel_with("onnxruntime/capi/other.so", b"library");
    let error = extract(other, &library).unwrap_err();
    assert_eq!(
        error.to_string(),
        "onnxruntime/capi/libonnxruntime.so.1.32.0: the wheel holds no library"
    );
    let no_zip = extract(Cursor::new(b"PK nothing".to_vec()), &library).unwrap_err();
    assert_eq!(no_zip.to_string(), "the wheel is not a zip archive");
    assert!(names_in(dir.path()).is_empty());
}

#[test]
fn a_wheel_cut_short_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let library = dir.path().join("libonnxruntime.so.1.32.0");
    let content: Vec<u8> = (0..10_000u32).flat_map(|i| (i * i).to_le_bytes()).collect();
    let mut wheel = wheel_with("onnxruntime/capi/libonnxruntime.so.1.32.0", &content).into_inner();
    wheel[200] ^= 0xff;
    assert!(extract(Cursor::new(wheel), &library).is_err());
    assert!(names_in(dir.path()).is_empty());
}

#[test]
fn a_wheel_other_than_the_pinned_one_is_refused() {
    // SHA-256 of "abc", from FIPS 180-4's examples.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    check_digest(b"abc", abc).unwrap();
    let error = check_digest(b"abd", abc).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Engine);
    assert!(error.to_string().ends_with(&format!("expected {abc}")), "{error}");
}

#[test]
fn a_missing_python_is_named_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let error = fetch(Path::new("/nonexistent/python3"), &X86_64, dir.path()).unwrap_err();
    assert_eq!(error.to_string(), "cannot run /nonexistent/python3");
    assert!(error.advice().unwrap().contains("--python"));
}

#[test]
fn removing_a_missing_entry_is_not_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("onnxruntime");
    assert!(!remove(&cache).unwrap());
    fs::create_dir_all(cache.join("1.0.0")).unwrap();
    assert!(remove(&cache).unwrap());
    assert!(!cache.exists());
}
