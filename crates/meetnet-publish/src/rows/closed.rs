//! Columns whose values come from a closed list. No row can have another value, so who asks for one has misspelt it, and
//! would take an empty answer for "nothing was measured".

use meetnet_model::assessment::{Assessment, PERIODS};
use meetnet_model::common::QUALITY;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::declarations::Declarations;
use meetnet_model::quality::Quality;
use meetnet_query::PageValue;

use super::bad;
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
    let known = values_of(column, declaration, declarations);
    if known.is_empty() || known.contains(&asked) {
        return Ok(());
    }
    Err(bad(format!(
        "{column} is never {asked:?} in {}; it takes {}",
        declaration.id,
        known.join(", ")
    )))
}

/// Returns the values of a column; none where the list is open.
fn values_of(
    column: &str,
    declaration: &DatasetDeclaration,
    declarations: &Declarations,
) -> Vec<String> {
    let is_declared = declaration.column_index(column).is_some();
    match column {
        QUALITY => (0..=i8::MAX)
            .filter(|code| Quality::from_code(*code).is_some())
            .map(|code| code.to_string())
            .collect(),
        "property" if is_declared => declarations
            .properties_of(&declaration.id)
            .map(|property| property.name.clone())
            .collect(),
        "period" if declaration.assess.is_some() => PERIODS.map(str::to_owned).to_vec(),
        "dataset" if declaration.assess.is_some() => declarations
            .datasets
            .values()
            .filter(|dataset| Assessment::judges(dataset))
            .map(|dataset| dataset.id.to_string())
            .collect(),
        _ => Vec::new(),
    }
}
