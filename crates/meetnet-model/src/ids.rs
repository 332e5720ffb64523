//! Names and numbers that must not be swapped by mistake.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Defines a cheaply cloned text id.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a text that the caller has checked.
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(Arc::from(text.as_ref()))
            }

            /// Returns the id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    };
}

text_id! {
    /// The id of a dataset: the name of its table, folder and URL (`[a-z][a-z0-9_]*`).
    DatasetId
}
text_id! {
    /// The id of a configured source (`[a-z0-9][a-z0-9_-]*`).
    SourceId
}
text_id! {
    /// A licence: an SPDX id (`[A-Za-z0-9.-]+`), also a partition value.
    LicenceId
}

/// A position in the journal; the first frame has 1, 0 means "before everything".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The position before the first frame.
    pub const ZERO: Self = Self(0);

    /// Returns the position after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
