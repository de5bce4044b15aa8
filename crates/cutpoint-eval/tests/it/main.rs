//! Tests of the source tree itself, and of the evaluation.

mod tidy;
