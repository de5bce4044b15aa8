//! Where an installed ONNX Runtime lies in the user's cache.

use std::env;
use std::path::PathBuf;

/// The version that `cutpoint engine install` installs.
pub const VERSION: &str = "1.32.0";

/// The folder for installed versions: `onnxruntime` in `$XDG_CACHE_HOME/cutpoint`, or in
/// `~/.cache/cutpoint`; `None` where neither is set.
pub fn cache_dir() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(cache.join("cutpoint").join("onnxruntime"))
}

/// The library that `cutpoint engine install` puts there, if it is there.
pub fn installed_library() -> Option<PathBuf> {
    let path = cache_dir()?.join(VERSION).join(format!("libonnxruntime.so.{VERSION}"));
    path.is_file().then_some(path)
}
