//! What was probably meant.

/// The nearest of these names; none where nothing is near.
pub(crate) fn nearest<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
    let name: String = name.chars().take(40).collect();
    let name = name.replace('_', "-").to_lowercase();
    let distance = |known: &'n str| (edits(&name, known), known);
    let (edits, known) = names.iter().copied().map(distance).min()?;
    // Two letters that changed places are two edits.
    (edits <= (known.len() / 3).max(2) && edits < name.len()).then_some(known)
}

/// The Levenshtein distance: characters to insert, remove or replace.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}
