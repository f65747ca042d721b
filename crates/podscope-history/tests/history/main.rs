//! The history as a whole, through its public interface.

mod damage;
mod events;
mod faults;
mod format;
mod fuzz;
mod kill;
mod model;
mod power_cut;
mod semantics;
mod support;
mod tiers;
