//! Why the program did not do what it was asked, and the exit code for it.

use std::process::ExitCode;

/// A failed command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or the configuration is wrong, or the place it names cannot be used: exit code 2.
    Usage(anyhow::Error),
    /// The work failed: exit code 1.
    Work(anyhow::Error),
}

impl Failure {
    /// Wraps what a person has to correct before the next try.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::Usage(error.into())
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

    /// Returns the exit code.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Work(_) => ExitCode::from(1),
        }
    }
}
