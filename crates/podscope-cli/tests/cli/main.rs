//! The built `podscope`, as a person runs it.

mod command;
mod data_file;
mod demo;
mod history;
mod events;
mod prometheus;
mod remote_write;
mod rules;
