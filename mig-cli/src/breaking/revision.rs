//! A tree as it was at a revision of git.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The files of a revision, in a folder that is removed when this is dropped.
pub(super) struct Revision {
    name: String,
    top: PathBuf,
    folder: TempDir,
}

impl Revision {
    /// Takes the files of a revision out of the repository that a path is in.
    ///
    /// # Errors
    ///
    /// What git says, or that there is no git.
    pub(super) fn take(name: &str, path: &Path) -> Result<Self, String> {
        let near = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let near = if near.as_os_str().is_empty() { Path::new(".") } else { near };
        let top = PathBuf::from(git(near, None, &["rev-parse", "--show-toplevel"])?);
        let tree = format!("{name}^{{tree}}");
        let tree = git(&top, None, &["rev-parse", "--verify", "--quiet", "--end-of-options", &tree])
            .map_err(|_| format!("git knows no revision `{name}`"))?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        // This takes an index of its own, so that the repository's stays as it is.
        let index = folder.path().join("index");
        let prefix = format!("--prefix={}/", folder.path().join("tree").display());
        git(&top, Some(&index), &["read-tree", &tree])?;
        git(&top, Some(&index), &["checkout-index", "--all", &prefix])?;
        let top = top.canonicalize().map_err(|error| format!("{}: {error}", top.display()))?;
        Ok(Revision { name: name.to_owned(), top, folder })
    }

    /// Where a path of the repository is in the revision; any other path as it is.
    pub(super) fn at(&self, path: &Path) -> PathBuf {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        // A file that has been deleted since has no canonical path, but its folder may have one.
        let canonical = absolute.canonicalize().unwrap_or(absolute);
        match canonical.strip_prefix(&self.top) {
            Ok(below) => self.folder.path().join("tree").join(below),
            Err(_) => path.to_owned(),
        }
    }

    /// A text with the paths that git gives to files of the revision: `v1.0:defs/clock.defs`.
    pub(super) fn named(&self, text: &str) -> String {
        let tree = format!("{}/", self.folder.path().join("tree").display());
        text.replace(&tree, &format!("{}:", self.name))
    }
}

/// What git prints, without the newline at its end.
fn git(folder: &Path, index: Option<&Path>, arguments: &[&str]) -> Result<String, String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(arguments);
    if let Some(index) = index {
        git.env("GIT_INDEX_FILE", index);
    }
    let output = git.output().map_err(|error| format!("git: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("git failed").to_owned())
}
