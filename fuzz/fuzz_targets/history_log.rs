#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podscope_history::fuzz_bodies::log(bytes));
