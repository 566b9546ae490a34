//! Small bodies that were read a moment ago, with the rest of the log: whoever wants to look into
//! the bodies of the flows that it is given finds them here, and need not search the log.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Octets of lines that are remembered: those between a flow that is given out and the end of what
/// was read ahead.
const MOST: usize = 8 << 20;

/// The latest lines of small bodies.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    by_name: HashMap<[u8; 32], Vec<u8>>,
    order: VecDeque<[u8; 32]>,
    octets: usize,
}

impl Recent {
    /// Remembers a line, and forgets the oldest.
    pub(crate) fn add(&self, name: [u8; 32], line: &[u8]) {
        let mut lines = self.lock();
        let Lines { by_name, order, octets } = &mut *lines;
        if by_name.contains_key(&name) {
            return;
        }
        by_name.insert(name, line.to_vec());
        order.push_back(name);
        *octets += line.len();
        while *octets > MOST {
            let Some(oldest) = order.pop_front() else { break };
            *octets -= by_name.remove(&oldest).map_or(0, |line| line.len());
        }
    }

    /// The line of this body.
    pub(crate) fn get(&self, name: &[u8; 32]) -> Option<Vec<u8>> {
        self.lock().by_name.get(name).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_once_there_are_too_many() {
        let recent = Recent::default();
        let line = vec![b'x'; MOST / 4];
        for number in 0..5 {
            recent.add([number; 32], &line);
            recent.add([number; 32], &line);
        }
        assert_eq!(recent.get(&[0; 32]), None);
        for number in 1..5 {
            assert_eq!(recent.get(&[number; 32]).as_ref(), Some(&line), "{number}");
        }
        assert_eq!(recent.lock().octets, 4 * line.len());
        recent.add([9; 32], &vec![b'x'; MOST + 1]);
        assert_eq!(recent.lock().by_name.len(), 0, "not even one that is larger by itself");
    }
}
