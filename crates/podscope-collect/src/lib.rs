//! podscope-collect
