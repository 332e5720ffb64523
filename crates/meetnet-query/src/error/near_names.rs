//! Names that were probably meant by ones that are not there.

/// Returns `; did you mean …?` for near names, else the list of names while it is short.
pub(crate) fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    match nearest(name, &known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if known.is_empty() => String::new(),
        None if known.len() <= 60 => format!("; there are {}", known.join(", ")),
        None => String::new(),
    }
}

/// Returns the name that was probably meant by one that is not there; None where none is near.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let letters = name.chars().count();
    let distances = known.iter().filter_map(|candidate| {
        let most = 1.max(candidate.chars().count() / 3);
        // A name may be as long as a statement.
        if letters.abs_diff(candidate.chars().count()) > most {
            return None;
        }
        let distance = edit_distance(&name.to_lowercase(), &candidate.to_lowercase());
        (distance <= most).then_some((distance, *candidate))
    });
    let near = distances.min();
    near.map(|(_, candidate)| candidate)
}

/// Returns the Levenshtein distance in characters.
pub(super) fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
