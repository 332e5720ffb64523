//! Near names: what a mistyped name probably meant.

/// Returns `; did you mean …?` where a known name is near, else `; there are …`.
pub(super) fn did_you_mean(wrong: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|name| (distance(wrong, name), *name))
        .filter(|(distance, name)| *distance <= 1.max(name.chars().count() / 3))
        .min();
    match near {
        Some((_, name)) => format!("; did you mean `{name}`?"),
        None if known.is_empty() => "; remove it".to_owned(),
        None => {
            let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("; there are {}", names.join(", "))
        }
    }
}

/// The same for a name that somebody asks for, who cannot remove it: nothing where there are no names.
pub(crate) fn near_name(wrong: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return String::new();
    }
    did_you_mean(wrong, known)
}

/// Edits (insert, remove, change one character) between two names.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
