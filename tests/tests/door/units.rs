//! How the units are hardened.

use wrd_tests::runner::Test;

pub const TESTS: &[Test] = &[];
