//! Random numbers that are the same for the same seed, on every machine and in every version: a
//! run can be repeated years later. (`SplitMix64`; nothing here is a secret.)

/// A source of numbers.
#[derive(Debug, Clone)]
pub(crate) struct Seeded(u64);

impl Seeded {
    /// The numbers of a seed for one thing, whatever was asked for other things before.
    pub(crate) fn of(seed: u64, thing: &str) -> Self {
        // FNV-1a.
        let hash = thing.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut own = Self(seed ^ hash);
        own.next();
        own
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when there is none.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A number from `from` up to and without `to`.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from))
    }

    /// A position in a list of this length.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// Puts a list into another order.
    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, self.index(end + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_the_same_numbers_for_ever() {
        let mut seeded = Seeded::of(7, "");
        let numbers: Vec<_> = (0..4).map(|_| seeded.below(1000)).collect();
        assert_eq!(numbers, [604, 97, 372, 529]);
        assert_ne!(
            Seeded::of(7, "a").below(u64::MAX),
            Seeded::of(7, "b").below(u64::MAX)
        );
        assert_ne!(
            Seeded::of(7, "a").below(u64::MAX),
            Seeded::of(8, "a").below(u64::MAX)
        );
    }

    #[test]
    fn a_shuffled_list_holds_the_same_things() {
        let mut list: Vec<_> = (0..20).collect();
        Seeded::of(1, "").shuffle(&mut list);
        assert_ne!(list, (0..20).collect::<Vec<_>>());
        list.sort_unstable();
        assert_eq!(list, (0..20).collect::<Vec<_>>());
    }
}
