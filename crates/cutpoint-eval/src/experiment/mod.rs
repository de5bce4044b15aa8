//! One cell of an experiment: a setting, computed from measured profiles, and what a strategy makes
//! of it in the planner's simulation. The same on every machine.

mod peers;
mod setting;
mod strategy;
#[cfg(test)]
mod tests;

pub(crate) use setting::Setting;
pub(crate) use strategy::{Strategy, Study};
