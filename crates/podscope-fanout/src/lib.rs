//! podscope-fanout
