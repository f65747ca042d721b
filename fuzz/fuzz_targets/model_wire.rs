#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podscope_model::fuzz_bodies::wire(bytes));
