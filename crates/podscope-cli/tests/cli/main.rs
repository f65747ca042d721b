//! The built `podscope`, as a person runs it.

mod command;
mod data_file;
mod demo;
mod events;
mod history;
mod prometheus;
mod remote_write;
mod rules;
mod stress;
