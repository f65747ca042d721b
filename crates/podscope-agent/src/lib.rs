//! podscope-agent
