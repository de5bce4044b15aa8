//! One cell of an experiment: a setting, computed from measured profiles, and what a strategy makes
//! of it in the planner's simulation. The same on every machine.

mod outcome;
mod peers;
mod setting;
mod strategy;
#[cfg(test)]
mod tests;

pub(crate) use outcome::Outcome;
pub(crate) use peers::Rule;
pub(crate) use setting::{Forms, Setting, Uplink};
pub(crate) use strategy::{Strategy, Study};
