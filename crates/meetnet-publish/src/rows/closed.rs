//! Columns whose values come from a closed list. No row can have another value, so who asks for one has misspelt it, and
//! would take an empty answer for "nothing was measured".

use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::declarations::Declarations;
use meetnet_query::{PageValue, closed_values};

use super::bad;
use crate::parameters::cut;
use crate::problem::Problem;

/// Sees that a column can have a value.
///
/// # Errors
/// `BadRequest` with the values that it can have.
pub(super) fn check(
    column: &str,
    value: &PageValue,
    declaration: &DatasetDeclaration,
    declarations: &Declarations,
) -> Result<(), Problem> {
    let asked = match value {
        PageValue::Text(text) => text.clone(),
        PageValue::Int(number) => number.to_string(),
        _ => return Ok(()),
    };
    let known = closed_values(column, declaration, declarations);
    if known.is_empty() || known.contains(&asked) {
        return Ok(());
    }
    Err(bad(format!(
        "{column} is never {:?} in {}; it takes {}",
        cut(&asked),
        declaration.id,
        known.join(", ")
    )))
}
