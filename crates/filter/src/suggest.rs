//! What was probably meant.

/// The nearest of some names; none where nothing is near.
pub(crate) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let name: String = name.chars().take(20).collect::<String>().to_ascii_lowercase();
    let (distance, nearest) =
        names.map(|known| (distance(&name, known), known)).min_by_key(|(distance, _)| *distance)?;
    (distance == 0 || distance <= 2 && distance < nearest.len()).then_some(nearest)
}

/// How many letters must be put in, taken out, changed or swapped with the next.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, n) | (n, 0) => n,
                _ => {
                    let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let swap = (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                        .then(|| rows[i - 2][j - 2] + 1);
                    let shift = rows[i - 1][j].min(rows[i][j - 1]) + 1;
                    change.min(shift).min(swap.unwrap_or(usize::MAX))
                }
            };
        }
    }
    rows[a.len()][b.len()]
}
