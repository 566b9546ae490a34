//! Patterns filed by the text they begin with: of thousands, only those are tried whose
//! beginning is the request's.

/// Items under prefixes of text.
#[derive(Debug, Clone)]
pub(crate) struct Prefixes<T> {
    /// Sorted by prefix.
    shelves: Vec<Shelf<T>>,
}

#[derive(Debug, Clone)]
struct Shelf<T> {
    prefix: Box<str>,
    /// The longest other prefix that this one begins with.
    parent: Option<usize>,
    items: Vec<T>,
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self { shelves: Vec::new() }
    }
}

impl<T> Prefixes<T> {
    /// Files all items. Those of one prefix keep their order.
    pub(crate) fn file(items: Vec<(Box<str>, T)>) -> Self {
        let mut items = items;
        items.sort_by(|one, other| one.0.cmp(&other.0));
        let mut shelves: Vec<Shelf<T>> = Vec::new();
        for (prefix, item) in items {
            match shelves.last_mut() {
                Some(shelf) if shelf.prefix == prefix => shelf.items.push(item),
                _ => {
                    let mut parent = shelves.len().checked_sub(1);
                    while let Some(at) = parent
                        && !prefix.starts_with(&*shelves[at].prefix)
                    {
                        parent = shelves[at].parent;
                    }
                    shelves.push(Shelf { prefix, parent, items: vec![item] });
                }
            }
        }
        Self { shelves }
    }

    /// Every shelf whose prefix the text begins with, the longest prefix first.
    ///
    /// The last prefix that is not behind the text begins with each of them: whatever sorts
    /// between a prefix of the text and the text begins with that prefix, too.
    #[inline]
    pub(crate) fn of<'a>(&'a self, text: &str) -> impl Iterator<Item = &'a [T]> {
        let behind = self.shelves.partition_point(|shelf| *shelf.prefix <= *text);
        let mut at = behind.checked_sub(1);
        while let Some(index) = at
            && !text.starts_with(&*self.shelves[index].prefix)
        {
            at = self.shelves[index].parent;
        }
        std::iter::successors(at.map(|at| &self.shelves[at]), |shelf| {
            shelf.parent.map(|at| &self.shelves[at])
        })
        .map(|shelf| &*shelf.items)
    }

    /// Every item.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.shelves.iter().flat_map(|shelf| &shelf.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn every_prefix_is_found_the_longest_first(
            prefixes in proptest::collection::vec("[ab/é]{0,5}", 0..20),
            text in "[ab/é]{0,8}",
        ) {
            let items = prefixes.iter().map(|prefix| (prefix.as_str().into(), prefix.clone()));
            let filed = Prefixes::file(items.collect());
            let found: Vec<String> = filed.of(&text).flatten().cloned().collect();
            let mut want: Vec<String> =
                prefixes.into_iter().filter(|prefix| text.starts_with(prefix.as_str())).collect();
            want.sort_by_key(|prefix| std::cmp::Reverse(prefix.len()));
            proptest::prop_assert_eq!(found, want);
        }
    }
}
