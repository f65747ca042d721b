//! The agent from outside: its configuration, its HTTP surface, its schedule, its program.

mod cluster;
mod config;
mod events;
mod golden;
mod http;
mod hub;
mod intake;
mod kill;
mod metrics;
mod mutations;
mod program;
mod prometheus;
mod schedule;
mod security;
