//! What a function says about itself: for the view `functions`, and for the errors of wrong calls.

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// One value per row.
    Scalar,
    /// One value per group.
    Aggregate,
    /// One value per row, from the rows around it: with `OVER`.
    Window,
    /// Rows: in `FROM`.
    Table,
}

impl FunctionKind {
    /// Returns the word that SQL has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Aggregate => "aggregate",
            Self::Window => "window",
            Self::Table => "table",
        }
    }
}

/// A function, described.
#[derive(Debug, PartialEq, Eq)]
pub struct FunctionDescription {
    /// Its name in SQL.
    pub name: &'static str,
    /// How it is called.
    pub kind: FunctionKind,
    /// Name, arguments and result: `f(a, b [, c]) → type`.
    pub signature: &'static str,
    /// What it returns, with limits, accuracy and source.
    pub description: &'static str,
    /// Unit of what it returns, UCUM; None where it has none, or that of an argument.
    pub unit: Option<&'static str>,
    /// A statement that reads no dataset.
    pub example: &'static str,
}
