use std::sync::Arc;

use super::*;
use crate::schemas;

/// Checks a declared licence of `traffic` against rows that lie there.
fn check(declared: Option<&str>, stored: &[(&str, &[&str])], expect: &[&str]) {
    let mut declarations = schemas::builtin().into_declarations([]);
    let id = DatasetId::new("traffic");
    let dataset = declarations.datasets.get_mut(&id).unwrap();
    Arc::make_mut(dataset).licence = declared.map(LicenceId::new);
    let licences = stored.iter().map(|(licence, sources)| {
        let sources = sources.iter().map(ToString::to_string).collect();
        (LicenceId::new(licence), sources)
    });
    let stored = StoredLicences::from([
        (id, licences.collect()),
        // Not declared any more: nothing is promised for it.
        (
            DatasetId::new("gone"),
            BTreeMap::from([(LicenceId::new("CC-BY-NC-4.0"), BTreeSet::new())]),
        ),
    ]);
    let errors: Vec<String> = check_stored(&declarations, &stored)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(errors, expect);
}

#[test]
fn rows_that_lie_there_bind_the_declaration() {
    let telraam: &[(&str, &[&str])] = &[("CC-BY-NC-4.0", &["telraam"]), ("CC0-1.0", &["desk"])];
    check(None, telraam, &[]);
    check(Some("CC-BY-NC-4.0"), telraam, &[]);
    check(Some("CC-BY-4.0"), &[], &[]);
    check(
        Some("CC-BY-4.0"),
        telraam,
        &[
            "dataset `traffic` declares CC-BY-4.0, but rows of `telraam` lie in its table under CC-BY-NC-4.0, which asks \
           for non-commercial use; declare CC-BY-NC-4.0 for the dataset, or none so that each row keeps its own",
        ],
    );
    check(
        Some("CC0-1.0"),
        &[("LicenseRef-Stad", &[])],
        &[
            "dataset `traffic` declares CC0-1.0, but rows lie in its table under LicenseRef-Stad, and we do not know \
           whether one allows the other; declare LicenseRef-Stad for the dataset, or none so that each row keeps its own",
        ],
    );
    // An earlier version took it for a licence, and as one of a dataset it would be refused now.
    check(
        Some("CC-BY-4.0"),
        &[("cc-by-4.0", &["desk"])],
        &[
            "dataset `traffic` declares CC-BY-4.0, but rows of `desk` lie in its table under cc-by-4.0, and we do not know \
           whether one allows the other; declare none so that each row keeps its own",
        ],
    );
    check(None, &[("cc-by-4.0", &["desk"])], &[]);
}
