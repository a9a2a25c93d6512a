//! Files that must be whole or absent, and that nobody else may write or read: the operator's
//! setting, the audit trail, the state directory, and the owner check of policy files.
//!
//! # Invariants
//! - [`write_atomic`] leaves the old content or the new one, on the disk, never a part of either.
//! - What is private is private from its creation on, not only after a later call.
//! - A line of the audit trail is one line, whatever text went into it.
//!
//! On failure: a [`FileError`] with the operation and the path; a half-written temporary file is
//! removed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

#[cfg_attr(unix, path = "file/unix.rs")]
#[cfg_attr(windows, path = "file/windows.rs")]
mod imp;

/// Why a file operation failed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file could not be written whole.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file could not be removed.
    #[error("cannot remove {path}")]
    Remove {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The line could not be appended.
    #[error("cannot append to {path}")]
    Append {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The private directory could not be made, or not be made private.
    #[error("cannot make the private directory {path}")]
    CreateDir {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The directory exists and belongs to somebody else, who could read what we put there.
    #[error("{path} belongs to {owner}: give it to the user who runs this program")]
    ForeignDir {
        /// The directory.
        path: PathBuf,
        /// Its owner, as `uid 1000` or a SID.
        owner: String,
    },
    /// Owner and permissions could not be read.
    #[error("cannot examine {path}")]
    Examine {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The lock file could not be opened or locked.
    #[error("cannot lock {path}")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// Whether a file may decide what this host tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It belongs to root (SYSTEM, Administrators) or to us, and nobody else may write it. To root also
    /// what lies in the agent's private directory and is the agent's.
    Trusted,
    /// Somebody else owns it.
    WrongOwner {
        /// `uid 1000`, or a SID.
        owner: String,
    },
    /// Somebody else may write it.
    WritableByOthers {
        /// `mode 0664`, or the SID that may.
        by: String,
    },
}

/// Replaces `path` by `bytes`: written beside it, synced, renamed, and the directory synced.
/// `mode` is exact, whatever the umask; Windows takes the directory's permissions instead. What root
/// writes into another user's private directory (the agent's state) is given to that user.
/// A symbolic link at `path` is replaced, not followed. Blocks until the disk has it.
///
/// # Errors
/// [`FileError::Write`]; the old content stands.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let temporary = temporary_beside(path);
    let written = write_synced(&temporary, bytes, mode)
        .and_then(|()| imp::replace(&temporary, path))
        .and_then(|()| imp::sync_dir(parent(path)));
    written.map_err(|source| {
        // Best effort: after a rename it is gone already, and the first error is the one to tell.
        let _ = std::fs::remove_file(&temporary);
        FileError::Write { path: path.to_owned(), source }
    })
}

/// Removes a file; one that is not there is none the less gone.
///
/// # Errors
/// [`FileError::Remove`]; it is still there.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(FileError::Remove { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// A file that is written bit by bit and appears as a whole: what [`write_atomic`] is for a few bytes.
/// Dropped without [`finish`](Self::finish), nothing of it stays.
#[derive(Debug)]
pub struct NewFile {
    file: Option<File>,
    temporary: PathBuf,
    path: PathBuf,
}

impl NewFile {
    /// Begins a file that will stand at `path`; only its owner may read it. On Windows that is the
    /// directory's to say.
    ///
    /// # Errors
    /// [`FileError::Write`].
    pub fn begin(path: &Path) -> Result<Self, FileError> {
        let temporary = temporary_beside(path);
        let file = imp::create_new(&temporary, 0o600)
            .map_err(|source| FileError::Write { path: path.to_owned(), source })?;
        Ok(Self { file: Some(file), temporary, path: path.to_owned() })
    }

    /// Makes it stand at its path, replacing what stood there; blocks until the disk has it.
    ///
    /// # Errors
    /// [`FileError::Write`]; what stood there stands.
    pub fn finish(mut self) -> Result<(), FileError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let done = file.sync_all().and_then(|()| {
            drop(file);
            imp::replace(&self.temporary, &self.path)?;
            imp::sync_dir(parent(&self.path))
        });
        done.map_err(|source| FileError::Write { path: self.path.clone(), source })
    }
}

impl io::Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Best effort: after `finish` it is gone already.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

/// Appends one line and syncs it. Line breaks inside are written as `\n` and `\r`; a torn last
/// line (power cut) is ended first. A symbolic link at `path` is refused.
///
/// # Errors
/// [`FileError::Append`]; a part of the line may stand.
pub fn append_line(path: &Path, line: &str, mode: u32) -> Result<(), FileError> {
    append(path, line, mode).map_err(|source| FileError::Append { path: path.to_owned(), source })
}

/// Opens a file of ours to read it and to append to it, and makes it where there is none, for us alone.
/// A symbolic link at `path` is refused.
///
/// # Errors
/// [`FileError::Append`].
pub fn open_private(path: &Path) -> Result<File, FileError> {
    imp::open_append(path, 0o600)
        .map_err(|source| FileError::Append { path: path.to_owned(), source })
}

/// Makes a directory that only we (and root; SYSTEM and Administrators) may enter, or makes an
/// existing one so. Missing parents are made with ordinary permissions.
///
/// # Errors
/// [`FileError::ForeignDir`] where it belongs to somebody else, else [`FileError::CreateDir`].
pub fn create_private_dir(path: &Path) -> Result<(), FileError> {
    let failed = |source| FileError::CreateDir { path: path.to_owned(), source };
    std::fs::create_dir_all(parent(path)).map_err(failed)?;
    let foreign = imp::create_private_dir(path).map_err(failed)?;
    match foreign {
        None => Ok(()),
        Some(owner) => Err(FileError::ForeignDir { path: path.to_owned(), owner }),
    }
}

/// Makes what was created or renamed in a directory durable.
///
/// # Errors
/// [`FileError::Write`] with the directory.
pub fn sync_dir(path: &Path) -> Result<(), FileError> {
    imp::sync_dir(path).map_err(|source| FileError::Write { path: path.to_owned(), source })
}

/// Owner and permissions of a file or directory; links are followed. Does not open it, so that a
/// pipe or a device cannot stall us.
///
/// # Errors
/// [`FileError::Examine`].
pub fn trust(path: &Path) -> Result<Trust, FileError> {
    imp::trust(path).map_err(|source| FileError::Examine { path: path.to_owned(), source })
}

/// As [`trust`], of the very file that the caller has open and reads; `path` is for the message.
///
/// # Errors
/// [`FileError::Examine`].
pub fn trust_of(file: &File, path: &Path) -> Result<Trust, FileError> {
    imp::trust_of(file, path).map_err(|source| FileError::Examine { path: path.to_owned(), source })
}

fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = imp::create_new(path, mode)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn append(path: &Path, line: &str, mode: u32) -> io::Result<()> {
    let existed = path.exists();
    let mut file = imp::open_append(path, mode)?;
    let mut text = String::with_capacity(line.len() + 2);
    if is_torn(&mut file)? {
        text.push('\n');
    }
    text.push_str(&line.replace('\r', "\\r").replace('\n', "\\n"));
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    if existed { Ok(()) } else { imp::sync_dir(parent(path)) }
}

/// Whether the last line lacks its end.
fn is_torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// A name in the same directory (so that the rename cannot cross file systems) that no other
/// writer uses.
fn temporary_beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{}-{count}.tmp", std::process::id()));
    parent(path).join(name)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<OsString> {
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_write_replaces_the_whole_content_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.toml");
        write_atomic(&path, b"a longer first content", 0o600).unwrap();
        write_atomic(&path, b"second", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(names(dir.path()), ["operator.toml"]);
    }

    #[test]
    fn a_file_that_is_written_bit_by_bit_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut file = NewFile::begin(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(file);
        assert!(names(dir.path()).is_empty());
        let mut file = NewFile::begin(&path).unwrap();
        file.write_all(b"whole").unwrap();
        file.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(dir.path()), ["f"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_write_that_fails_keeps_what_stood_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        std::fs::create_dir_all(path.join("inside")).unwrap();
        let error = write_atomic(&path, b"x", 0o600).unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
        assert_eq!(names(dir.path()), ["taken"], "the temporary file is gone");
    }

    #[test]
    fn writers_at_the_same_time_leave_one_whole_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::thread::scope(|scope| {
            for letter in [b'a', b'b', b'c'] {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..10 {
                        // Windows refuses a rename while another one runs; the content counts.
                        let _ = write_atomic(path, &[letter; 5000], 0o600);
                    }
                });
            }
        });
        let content = std::fs::read(&path).unwrap();
        assert_eq!(content.len(), 5000);
        assert!(content.iter().all(|byte| *byte == content[0]));
        assert_eq!(names(dir.path()), ["file"]);
    }

    #[test]
    fn a_line_stays_one_line_and_a_torn_one_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        append_line(&path, "one\nforged\r", 0o600).unwrap();
        std::fs::write(&path, [std::fs::read(&path).unwrap(), b"torn".to_vec()].concat()).unwrap();
        append_line(&path, "two", 0o600).unwrap();
        append_line(&path, "three", 0o600).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "one\\nforged\\r\ntorn\ntwo\nthree\n");
    }

    #[test]
    fn a_private_directory_is_made_with_its_parents_and_again_without_harm() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("var").join("lib").join("candor");
        create_private_dir(&path).unwrap();
        create_private_dir(&path).unwrap();
        assert!(path.is_dir());
        std::fs::write(path.join("file"), b"x").unwrap();
        let error = create_private_dir(&path.join("file")).unwrap_err();
        assert!(matches!(error, FileError::CreateDir { .. }), "{error:?}");
    }

    #[test]
    fn what_we_wrote_for_ourselves_is_trusted_and_what_is_missing_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.toml");
        assert!(matches!(trust(&path), Err(FileError::Examine { .. })));
        write_atomic(&path, b"", 0o644).unwrap();
        assert_eq!(trust(&path).unwrap(), Trust::Trusted);
        let file = File::open(&path).unwrap();
        assert_eq!(trust_of(&file, &path).unwrap(), Trust::Trusted);
    }
}
