//! The fuzz targets over their seeds and some thousand mutations of each, the same every time.
//! `./dev fuzz` runs them for longer, guided by coverage.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use signpost_e2e::fuzz::{TARGETS, run};

use crate::tidy::root;

/// Mutations per target.
const MUTATIONS: u32 = 4_000;

/// What makes inputs interesting where it is put in.
const TOKENS: [&[u8]; 24] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\n--\n",
    b"\xff",
    b"\xc3\x28",
    b"\xf0\x9f\x98\x80",
    b"\\u0000",
    b"\\ud800",
    b"\"",
    b"{}",
    b"[]",
    b"null",
    b"1e999",
    b"-0",
    b"18446744073709551616",
    b"*",
    b"..",
    b"%00",
    b"[::ffff:127.0.0.1]",
    b"$not",
    b"{data}",
    b"0.1",
    b"@",
];

/// Pseudo-random numbers (<https://prng.di.unimi.it/splitmix64.c>): the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `end`, without it.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

fn folder(target: &str) -> PathBuf {
    root().join("fuzz/corpus").join(target)
}

/// The seeds of a target, in the order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(folder(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// One to four changes to one of the seeds.
fn mutation(seeds: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut data = seeds[numbers.below(seeds.len())].clone();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(data.len() + 1);
        let end = at + numbers.below((data.len() - at).min(16) + 1);
        match numbers.below(6) {
            0 if at < data.len() => data[at] ^= 1 << numbers.below(8),
            1 => drop(data.drain(at..end)),
            2 => {
                let again = data[at..end].repeat(1 + numbers.below(40));
                data.splice(at..at, again);
            }
            3 => {
                let other = &seeds[numbers.below(seeds.len())];
                let from = numbers.below(other.len() + 1);
                data.splice(at.., other[from..].iter().copied());
            }
            4 => data.truncate(at),
            _ => {
                let token = TOKENS[numbers.below(TOKENS.len())];
                data.splice(at..end, token.iter().copied());
            }
        }
    }
    data
}

/// Runs one input and says whether it was accepted; what breaks is shown as it must be written into a file to be seen again.
fn check(target: &str, data: &[u8]) -> bool {
    let result = catch_unwind(AssertUnwindSafe(|| run(target, data)));
    result.unwrap_or_else(|_shown| panic!("{target} breaks at b\"{}\"", data.escape_ascii()))
}

#[test]
fn every_target_holds_for_its_seeds_and_their_mutations() {
    for (number, (target, _)) in TARGETS.iter().enumerate() {
        let seeds = seeds(target);
        assert!(seeds.len() >= 3, "{target} has few seeds");
        let accepted = seeds.iter().filter(|seed| check(target, seed)).count();
        let mut numbers = Numbers(u64::try_from(number).unwrap());
        let mutations = (0..MUTATIONS).map(|_| mutation(&seeds, &mut numbers));
        let mutated = mutations.filter(|data| check(target, data)).count();
        let is_telling = accepted > 0 && mutated >= 20;
        assert!(
            is_telling,
            "{target} refuses nearly all: {accepted} seeds, {mutated} mutations taken"
        );
    }
}

#[test]
fn libfuzzer_runs_the_same_targets() {
    for (target, _) in TARGETS {
        let file = root()
            .join("fuzz/fuzz_targets")
            .join(target)
            .with_extension("rs");
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.contains(&format!("run(\"{target}\", data)")),
            "{target}"
        );
    }
    let count = |folder: &str| fs::read_dir(root().join(folder)).unwrap().count();
    assert_eq!(count("fuzz/fuzz_targets"), TARGETS.len());
}
