//! Whom the server lets in, with its default settings.

use wrd_tests::runner::Test;

pub const TESTS: &[Test] = &[];
