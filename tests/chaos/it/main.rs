//! The soak test of CI: one minute with a fixed seed, at a rate that a small busy machine bears.

mod chaos;
