//! The built `podscope`, as a person runs it.

mod command;
mod data_file;
mod demo;
mod prometheus;
mod rules;
