//! What a gate may do at each of its stages, read from /proc while it stands there.

use wrd_tests::runner::Test;

pub const TESTS: &[Test] = &[];
