//! podscope-incident
