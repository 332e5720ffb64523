//! Why the program did not do what it was asked, and the exit code for it.

use std::io;
use std::process::ExitCode;

/// A failed command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or the configuration is wrong, or the place it names cannot be used: exit code 2, unless its disk
    /// is full.
    Usage(anyhow::Error),
    /// The work failed: exit code 1.
    Work(anyhow::Error),
}

impl Failure {
    /// Wraps what a person has to correct before the next try.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::Usage(error.into())
    }

    /// Wraps an error of a folder or file that cannot be used, with what to do where that is known.
    pub(crate) fn place(error: impl Into<anyhow::Error>) -> Self {
        let error = error.into();
        let advice = match io_kind(&error) {
            Some(io::ErrorKind::PermissionDenied) => {
                "meetnet may not write there; give its folders to the user that runs it (chown -R)"
            }
            Some(io::ErrorKind::ReadOnlyFilesystem) => {
                "the file system may not be written; mount it for writing, and look whether its disk fails (dmesg)"
            }
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                "the disk is full; make room"
            }
            _ => return Self::Usage(error),
        };
        Self::Usage(error.context(advice))
    }

    /// Wraps what went wrong at work.
    pub(crate) fn work(error: impl Into<anyhow::Error>) -> Self {
        Self::Work(error.into())
    }

    /// Returns the error.
    pub(crate) fn error(&self) -> &anyhow::Error {
        match self {
            Self::Usage(error) | Self::Work(error) => error,
        }
    }

    /// Returns the error with its causes, for people, without what a cause says a second time: those of an object store end
    /// with what stands behind them.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for cause in self.error().chain().map(ToString::to_string) {
            if text.is_empty() {
                text = cause;
            } else if !text.ends_with(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
        }
        text
    }

    /// Returns the error alone.
    pub(crate) fn into_error(self) -> anyhow::Error {
        match self {
            Self::Usage(error) | Self::Work(error) => error,
        }
    }

    /// Returns the exit code. A full disk is nobody's mistake in the configuration, and may have room at the next try, which
    /// a service manager makes only where the configuration is not wrong.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(error) if !is_disk_full(error) => ExitCode::from(2),
            Self::Usage(_) | Self::Work(_) => ExitCode::from(1),
        }
    }
}

/// Returns the kind of the system's error behind another; None where there is none.
fn io_kind(error: &anyhow::Error) -> Option<io::ErrorKind> {
    error
        .chain()
        .find_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()))
}

fn is_disk_full(error: &anyhow::Error) -> bool {
    matches!(
        io_kind(error),
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    )
}

#[cfg(test)]
mod tests;
